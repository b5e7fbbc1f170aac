// What the output goes to: whether it takes colour and how wide it is.
//
// Colour: `--color always|never` decides; else NO_COLOR (set and not empty) turns it off,
// FORCE_COLOR (set and not "0") on; else it is on when the stream is a terminal and TERM is neither
// "dumb" nor unset. Width: COLUMNS, else the terminal's own, else unlimited: nothing is ever cut
// when the output is piped.

#ifndef MEMTRACE_TOOLS_RENDER_TERMINAL_H_
#define MEMTRACE_TOOLS_RENDER_TERMINAL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace memtrace {

enum class ColorChoice { kAuto, kAlways, kNever };

struct Terminal {
  bool is_tty = false;
  bool color = false;
  int columns = 0;  // 0: unlimited
};

// Of a file descriptor of this process and its environment.
Terminal DescribeTerminal(int fd, ColorChoice choice = ColorChoice::kAuto);

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan };

// The text, in the style if the terminal takes colour.
std::string Styled(const Terminal& terminal, Style style, absl::string_view text);

// Columns that a UTF-8 text takes: one for each code point that is not a combining mark, two for
// wide East Asian ones.
int DisplayWidth(absl::string_view text);

// The text without control characters and invalid UTF-8 (replaced by '?'): names come from traced
// programs and must not steer the reader's terminal.
std::string Printable(absl::string_view text);

// Cut to at most `columns`, with an ellipsis; whole if columns <= 0.
std::string CutToWidth(absl::string_view text, int columns);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_TERMINAL_H_
