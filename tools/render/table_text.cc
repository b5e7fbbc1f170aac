#include "tools/render/table_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace memtrace {
namespace {

constexpr int kGap = 2;
constexpr int kWidestPlace = 44;  // longer places do not push the others' source lines away
constexpr int kShortestSource = 12;

std::string Spaces(int n) { return std::string(std::max(n, 0), ' '); }

}  // namespace

TextTable::TextTable(const Terminal& terminal, std::vector<std::string> headings, std::string title)
    : terminal_(terminal), headings_(std::move(headings)), title_(std::move(title)) {}

std::string TextTable::Figures(const std::vector<TextCell>& cells) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    absl::StrAppend(&line, Spaces(widths_[i] - DisplayWidth(cells[i].text)),
                    Styled(terminal_, cells[i].style, cells[i].text), Spaces(kGap));
  }
  return line;
}

std::string TextTable::PlaceAndSource(const std::string& place, const std::string& source,
                                      int indent, int place_width) const {
  std::string line = Styled(terminal_, Style::kCyan, place);
  if (source.empty()) return absl::StrCat(line, "\n");
  const int padded = std::max(DisplayWidth(place), place_width) + kGap;
  if (terminal_.columns == 0) {
    return absl::StrCat(line, Spaces(padded - DisplayWidth(place)), source, "\n");
  }
  const int room = terminal_.columns - indent - padded;
  if (room >= std::min(kShortestSource, DisplayWidth(source))) {
    return absl::StrCat(line, Spaces(padded - DisplayWidth(place)), CutToWidth(source, room), "\n");
  }
  const int left = std::max(terminal_.columns - indent - kGap, kShortestSource);
  return absl::StrCat(line, "\n", Spaces(indent + kGap), CutToWidth(source, left), "\n");
}

std::string TextTable::ToString() const {
  widths_.clear();
  for (const std::string& heading : headings_) widths_.push_back(DisplayWidth(heading));
  int place_width = 0;
  for (const TextRow& row : rows_) {
    for (size_t i = 0; i < row.figures.size(); ++i) {
      widths_[i] = std::max(widths_[i], DisplayWidth(row.figures[i].text));
    }
    // Only places with a source line behind them decide where source lines begin.
    const auto widen = [&place_width](const std::string& place, const std::string& source, int at) {
      const int width = at + DisplayWidth(place);
      if (!source.empty() && width <= kWidestPlace) place_width = std::max(place_width, width);
    };
    widen(row.place, row.source, 0);
    for (const TextRow::Caller& caller : row.callers) widen(caller.place, caller.source, kGap);
  }
  std::vector<TextCell> heading_cells;
  int indent = 0;
  for (size_t i = 0; i < headings_.size(); ++i) {
    heading_cells.push_back({headings_[i], Style::kDim});
    indent += widths_[i] + kGap;
  }
  std::string out =
      absl::StrCat(Figures(heading_cells), Styled(terminal_, Style::kDim, title_), "\n");
  for (const TextRow& row : rows_) {
    absl::StrAppend(&out, Figures(row.figures),
                    PlaceAndSource(row.place, row.source, indent, place_width));
    for (const TextRow::Caller& caller : row.callers) {
      absl::StrAppend(
          &out, Spaces(indent + kGap),
          PlaceAndSource(caller.place, caller.source, indent + kGap, place_width - kGap));
    }
  }
  return out;
}

}  // namespace memtrace
