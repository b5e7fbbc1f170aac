#include "tools/render/summary.h"

#include <string.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tools/model/aggregate.h"
#include "tools/render/render.h"
#include "tools/render/source_lines.h"
#include "tools/render/units.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

constexpr int kIndent = 2;
constexpr int kGap = 2;
constexpr int kWidestPlace = 72;  // of a place with its source line
constexpr int kShortestPlace = 20;

struct Line {
  std::string place;
  std::string size;
  std::string count;
  std::string share;
};

// The table by own lines; by plain lines where no line is the program's own.
Table TableAt(const Profile& profile, Metric metric) {
  View view;
  view.metric = metric;
  view.own = true;
  absl::StatusOr<Table> own = Aggregate(profile, view);
  if (own.ok()) {
    std::erase_if(own->rows, [](const Row& row) { return row.frames.empty(); });
    if (!own->rows.empty()) return *std::move(own);
  }
  view.own = false;
  absl::StatusOr<Table> all = Aggregate(profile, view);
  return all.ok() ? *std::move(all) : Table{};
}

std::string Pad(const std::string& text, int width, bool left) {
  const std::string space(std::max(width - DisplayWidth(text), 0), ' ');
  return left ? absl::StrCat(text, space) : absl::StrCat(space, text);
}

std::vector<Line> Lines(const Profile& profile, const Table& table, int top) {
  SourceLines sources(profile);
  const size_t shown = std::min(table.rows.size(), static_cast<size_t>(std::max(top, 0)));
  const GroupBy by = table.view.by;
  int place_width = 0;
  for (size_t i = 0; i < shown; ++i) {
    place_width = std::max(place_width, DisplayWidth(RowText(table.rows[i], by)));
  }
  std::vector<Line> lines;
  for (size_t i = 0; i < shown; ++i) {
    const Row& row = table.rows[i];
    const std::string source = row.frames.empty() ? "" : sources.Text(*row.frames[0]);
    std::string place = RowText(row, by);
    if (!source.empty()) place = absl::StrCat(Pad(place, place_width + kGap, true), source);
    const Metric metric = table.view.metric;
    const int64_t size = SizeOf(row.values, metric);
    lines.push_back({place, FormatSize(size), FormatCount(CountOf(row.values, metric)),
                     FormatShare(size, WholeOf(row, table))});
  }
  return lines;
}

// Columns as wide as their widest cell; the place is cut where the terminal is too narrow.
std::string Layout(std::vector<Line> lines, const Terminal& terminal, const std::string& title) {
  lines.insert(lines.begin(), {title, "size", "count", "share"});
  int place = 0, size = 0, count = 0, share = 0;
  for (const Line& line : lines) {
    place = std::max(place, DisplayWidth(line.place));
    size = std::max(size, DisplayWidth(line.size));
    count = std::max(count, DisplayWidth(line.count));
    share = std::max(share, DisplayWidth(line.share));
  }
  const int figures = kIndent + size + count + share + 3 * kGap;
  const int room = terminal.columns > 0
                       ? std::clamp(terminal.columns - figures, kShortestPlace, kWidestPlace)
                       : kWidestPlace;
  place = std::min(place, room);
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    const int indent = i == 0 ? 0 : kIndent;
    const std::string text = absl::StrCat(
        std::string(indent, ' '), Pad(CutToWidth(line.place, room), place + kIndent - indent, true),
        std::string(kGap, ' '), Pad(line.size, size, false), std::string(kGap, ' '),
        Pad(line.count, count, false), std::string(kGap, ' '), Pad(line.share, share, false));
    absl::StrAppend(&out, Styled(terminal, i == 0 ? Style::kDim : Style::kPlain, text), "\n");
  }
  return out;
}

std::string Titled(const Profile& profile, const SummaryOptions& options, const Table& table,
                   const std::string& title) {
  std::vector<Line> lines = Lines(profile, table, options.top);
  return lines.empty() ? "" : Layout(std::move(lines), options.terminal, title);
}

// "killed by signal 9 (out of memory: ...)"; "" when the program was not killed.
std::string KilledText(const Profile& profile, const std::string& why) {
  for (const Process& process : profile.processes) {
    if (process.end != EndKind::kSignaled) continue;
    return absl::StrCat("killed by signal ", process.end_status,
                        why.empty() ? "" : absl::StrCat(" (", Printable(why), ")"));
  }
  return "";
}

// What was live when the program was killed, and what was at its peak: often the same.
std::string KilledTables(const Profile& profile, const SummaryOptions& options) {
  const Table last = TableAt(profile, Metric::kNow);
  const Table peak = TableAt(profile, Metric::kPeak);
  const std::string by_last = ViewText(last.view).substr(strlen("now"));
  const std::string by_peak = ViewText(peak.view).substr(strlen("at peak"));
  if (Titled(profile, options, last, "") == Titled(profile, options, peak, "")) {
    return Titled(profile, options, peak, absl::StrCat("at peak and when killed", by_peak));
  }
  return absl::StrCat(Titled(profile, options, last, absl::StrCat("when killed", by_last)),
                      Titled(profile, options, peak, absl::StrCat("at peak", by_peak)));
}

}  // namespace

std::string RenderRunSummary(const Profile& profile, const SummaryOptions& options) {
  std::string out = RenderHeader(profile, "", options.terminal);
  const std::string killed = KilledText(profile, options.killed_because);
  if (killed.empty()) {
    const Table peak = TableAt(profile, Metric::kPeak);
    absl::StrAppend(&out, Titled(profile, options, peak, ViewText(peak.view)));
  } else {
    absl::StrAppend(&out, killed, "\n", KilledTables(profile, options));
  }
  if (!options.saved_path.empty()) {
    const std::string path = Printable(options.saved_path);
    absl::StrAppend(&out, "saved ", path, "   next: memtrace report ", path, "\n");
  }
  return out;
}

}  // namespace memtrace
