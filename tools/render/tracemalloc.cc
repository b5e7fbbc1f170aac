// tracemalloc's own line format and order, for people and scripts that know it. File names are
// those that the interpreter recorded, as in tracemalloc itself.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/render/render.h"
#include "tools/render/source_lines.h"
#include "tools/render/units.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

// "FILE:LINE"; by file the line is 0. A traceback is named by its oldest frame, as str() does it.
std::string Name(const Row& row, GroupBy by) {
  if (row.frames.empty()) return absl::StrCat(Printable(row.label), ":0");
  const Place& place = *row.frames.back();
  if (place.kind == FrameKind::kNative && place.line == 0) {
    return absl::StrCat(PlaceText(place, by), ":0");
  }
  if (by == GroupBy::kFunction) {
    return absl::StrCat(Printable(place.file.recorded), ":", Printable(place.function));
  }
  return absl::StrCat(Printable(place.file.recorded), ":", place.line);
}

std::string Figures(const Row& row, const Table& table) {
  const int64_t size = SizeOf(row.values, table.view.metric);
  const int64_t count = CountOf(row.values, table.view.metric);
  std::string text;
  if (table.is_comparison) {
    text = absl::StrFormat("size=%s (%s), count=%d (%+d)", FormatSize(size),
                           FormatSignedSize(size - SizeOf(row.old_values, table.view.metric)),
                           count, count - CountOf(row.old_values, table.view.metric));
  } else {
    text = absl::StrFormat("size=%s, count=%d", FormatSize(size), count);
  }
  if (count != 0) absl::StrAppend(&text, ", average=", FormatAverage(size, count));
  return text;
}

// What Traceback.format() gives: oldest frame first, each with its source line.
std::string Frames(const Row& row, SourceLines* sources) {
  std::string text;
  for (auto frame = row.frames.rbegin(); frame != row.frames.rend(); ++frame) {
    const Place& place = **frame;
    if (place.kind == FrameKind::kNative && place.line == 0) {
      absl::StrAppend(&text, "  ", PlaceText(place, GroupBy::kTraceback), "\n");
      continue;
    }
    absl::StrAppendFormat(&text, "  File \"%s\", line %d\n", Printable(place.file.recorded),
                          place.line);
    const std::string source = sources->Text(place);
    if (!source.empty()) absl::StrAppend(&text, "    ", source, "\n");
  }
  return text;
}

}  // namespace

std::string RenderTracemalloc(const RenderInput& input) {
  const Table& table = *input.table;
  SourceLines sources(*input.profile);
  std::string out;
  for (size_t i = 0; i < input.ShownRows(); ++i) {
    const Row& row = table.rows[i];
    absl::StrAppend(&out, Name(row, table.view.by), ": ", Figures(row, table), "\n");
    if (table.view.by == GroupBy::kTraceback) absl::StrAppend(&out, Frames(row, &sources));
  }
  return out;
}

}  // namespace memtrace
