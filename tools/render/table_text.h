// Aligned columns for a terminal: figures to the right, then a place and its source line.
//
// Figures and places are never cut; the source line is, where the terminal is narrow, and goes to a
// line of its own where hardly anything would be left of it.

#ifndef MEMTRACE_TOOLS_RENDER_TABLE_TEXT_H_
#define MEMTRACE_TOOLS_RENDER_TABLE_TEXT_H_

#include <string>
#include <vector>

#include "tools/render/terminal.h"

namespace memtrace {

struct TextCell {
  std::string text;
  Style style = Style::kPlain;
};

struct TextRow {
  std::vector<TextCell> figures;
  std::string place;
  std::string source;
  struct Caller {
    std::string place;
    std::string source;
  };
  std::vector<Caller> callers;  // of a traceback, innermost first
};

class TextTable {
 public:
  TextTable(const Terminal& terminal, std::vector<std::string> headings, std::string title);

  void Add(TextRow row) { rows_.push_back(std::move(row)); }
  std::string ToString() const;

 private:
  std::string Figures(const std::vector<TextCell>& cells) const;
  std::string PlaceAndSource(const std::string& place, const std::string& source, int indent,
                             int place_width) const;

  const Terminal& terminal_;
  std::vector<std::string> headings_;
  std::string title_;
  std::vector<TextRow> rows_;
  mutable std::vector<int> widths_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_TABLE_TEXT_H_
