#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "tools/render/render.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

// RFC 4180.
std::string Quote(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string StackText(const Row& row) {
  return absl::StrJoin(row.frames, ";", [](std::string* out, const PlaceRef& place) {
    absl::StrAppend(out, PlaceText(*place, GroupBy::kTraceback));
  });
}

std::string Joined(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = Quote(cell);
  return absl::StrCat(absl::StrJoin(cells, ","), "\n");
}

std::string RowLine(const Row& row, const Table& table) {
  const Metric metric = table.view.metric;
  const Place place = row.frames.empty() ? Place{} : *row.frames[0];
  const int64_t size = SizeOf(row.values, metric);
  const int64_t count = CountOf(row.values, metric);
  const int64_t whole = WholeOf(row, table);
  std::vector<std::string> cells = {
      Printable(place.file.shown),
      place.line == 0 ? "" : absl::StrCat(place.line),
      Printable(place.function),
      DomainsText(row.domains),
      absl::StrCat(size),
      absl::StrCat(count),
      count == 0 ? "" : absl::StrCat(size / count),
      whole <= 0 ? ""
                 : absl::StrFormat("%.6f", static_cast<double>(size) / static_cast<double>(whole))};
  if (table.is_comparison) {
    cells.push_back(absl::StrCat(size - SizeOf(row.old_values, metric)));
    cells.push_back(absl::StrCat(count - CountOf(row.old_values, metric)));
  }
  if (ShowsChurn(metric)) {
    const Values& v = row.values;
    for (int64_t figure : {v.alloc_bytes, v.alloc_objects, v.inuse_bytes, v.inuse_objects,
                           v.temporary_bytes, v.temporary_objects}) {
      cells.push_back(absl::StrCat(figure));
    }
  }
  cells.push_back(RowText(row, table.view.by));
  if (table.view.by == GroupBy::kTraceback) cells.push_back(StackText(row));
  return Joined(std::move(cells));
}

std::string LeakLine(const LeakRow& leak, GroupBy by) {
  const Row& row = leak.row;
  const Place place = row.frames.empty() ? Place{} : *row.frames[0];
  std::vector<std::string> cells = {Printable(place.file.shown),
                                    place.line == 0 ? "" : absl::StrCat(place.line),
                                    Printable(place.function),
                                    DomainsText(row.domains),
                                    absl::StrCat(leak.bytes.back()),
                                    absl::StrCat(leak.blocks.back()),
                                    absl::StrCat(leak.bytes.back() - leak.bytes.front()),
                                    absl::StrCat(leak.blocks.back() - leak.blocks.front()),
                                    absl::StrFormat("%.9g", leak.bytes_trend.slope),
                                    absl::StrFormat("%.9g", leak.blocks_trend.slope),
                                    absl::StrFormat("%.9g", leak.lately),
                                    absl::StrFormat("%.6f", leak.bytes_trend.confidence),
                                    RowText(row, by)};
  if (by == GroupBy::kTraceback) cells.push_back(StackText(row));
  return Joined(std::move(cells));
}

}  // namespace

std::string RenderLeaksCsv(const LeakInput& input) {
  const GroupBy by = input.table->view.by;
  std::string out =
      "file,line,function,domain,size,count,size_diff,count_diff,size_per_second,"
      "count_per_second,last_size_per_second,confidence,place";
  absl::StrAppend(&out, by == GroupBy::kTraceback ? ",stack\n" : "\n");
  for (size_t i = 0; i < input.ShownRows(); ++i) out += LeakLine(input.table->rows[i], by);
  return out;
}

std::string RenderCsv(const RenderInput& input) {
  const Table& table = *input.table;
  std::string out = "file,line,function,domain,size,count,average,share";
  if (table.is_comparison) out += ",size_diff,count_diff";
  if (ShowsChurn(table.view.metric)) {
    out += ",alloc_size,alloc_count,live_size,live_count,temporary_size,temporary_count";
  }
  out += ",place";
  if (table.view.by == GroupBy::kTraceback) out += ",stack";
  out += "\n";
  for (size_t i = 0; i < input.ShownRows(); ++i) out += RowLine(table.rows[i], table);
  return out;
}

}  // namespace memtrace
