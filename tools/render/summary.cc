#include "tools/render/summary.h"

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

// The table at peak by own lines; by plain lines where no line is the program's own.
Table PeakTable(const Profile& profile) {
  View view;
  view.metric = Metric::kPeak;
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
    lines.push_back({place, FormatSize(row.values.peak_bytes), FormatCount(row.values.peak_objects),
                     FormatShare(row.values.peak_bytes, table.whole.peak_bytes)});
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

}  // namespace

std::string RenderRunSummary(const Profile& profile, const SummaryOptions& options) {
  std::string out = RenderHeader(profile, "", options.terminal);
  const Table table = PeakTable(profile);
  std::vector<Line> lines = Lines(profile, table, options.top);
  if (!lines.empty()) {
    absl::StrAppend(&out, Layout(std::move(lines), options.terminal, ViewText(table.view)));
  }
  if (!options.saved_path.empty()) {
    const std::string path = Printable(options.saved_path);
    absl::StrAppend(&out, "saved ", path, "   next: memtrace report ", path, "\n");
  }
  return out;
}

}  // namespace memtrace
