#include "tools/render/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <cstdint>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace memtrace {
namespace {

bool IsSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool WantsColor(bool is_tty, ColorChoice choice) {
  if (choice != ColorChoice::kAuto) return choice == ColorChoice::kAlways;
  if (IsSet("NO_COLOR")) return false;
  if (IsSet("FORCE_COLOR")) return absl::string_view(std::getenv("FORCE_COLOR")) != "0";
  return is_tty && IsSet("TERM") && absl::string_view(std::getenv("TERM")) != "dumb";
}

// A decoded character; `bytes` of it were taken. An invalid sequence takes one byte.
struct Character {
  char32_t code;
  size_t bytes;
  bool valid;
};

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

Character Decode(absl::string_view text) {
  const unsigned char first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {first, 1, true};
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {0, 1, false};
  char32_t code = first & (0xff >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if (!IsContinuation(text[i])) return {0, 1, false};
    code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (code < kSmallest[bytes] || code > 0x10ffff || surrogate) return {0, 1, false};
  return {code, bytes, true};
}

// Controls, and the marks that change the direction of what follows.
bool Steers(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200e && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

bool IsCombining(char32_t c) {
  return (c >= 0x300 && c < 0x370) || (c >= 0x1ab0 && c < 0x1b00) || (c >= 0x20d0 && c < 0x2100) ||
         (c >= 0xfe00 && c < 0xfe10) || c == 0x200b || c == 0x200d;
}

bool IsWide(char32_t c) {
  return (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) ||
         (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
         (c >= 0xfe30 && c < 0xfe70) || (c >= 0xff00 && c < 0xff61) ||
         (c >= 0x1f300 && c < 0x1f650) || (c >= 0x1f900 && c < 0x1fa00) ||
         (c >= 0x20000 && c < 0x30000);
}

int Width(char32_t c) { return IsCombining(c) ? 0 : IsWide(c) ? 2 : 1; }

}  // namespace

Terminal DescribeTerminal(int fd, ColorChoice choice) {
  Terminal terminal;
  terminal.is_tty = isatty(fd) == 1;
  terminal.color = WantsColor(terminal.is_tty, choice);
  int columns = 0;
  if (IsSet("COLUMNS") && absl::SimpleAtoi(std::getenv("COLUMNS"), &columns) && columns > 0) {
    terminal.columns = columns;
  } else if (terminal.is_tty) {
    winsize size{};
    if (ioctl(fd, TIOCGWINSZ, &size) == 0) terminal.columns = size.ws_col;
  }
  return terminal;
}

std::string Styled(const Terminal& terminal, Style style, absl::string_view text) {
  if (!terminal.color || style == Style::kPlain || text.empty()) return std::string(text);
  const char* codes[] = {"0", "1", "2", "31", "32", "33", "36"};
  return absl::StrCat("\033[", codes[static_cast<int>(style)], "m", text, "\033[0m");
}

int DisplayWidth(absl::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Character c = Decode(text);
    width += c.valid ? Width(c.code) : 1;
    text.remove_prefix(c.bytes);
  }
  return width;
}

std::string Printable(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character c = Decode(text);
    if (c.code == '\t') {
      out += ' ';
    } else if (!c.valid || Steers(c.code)) {
      out += '?';
    } else {
      absl::StrAppend(&out, text.substr(0, c.bytes));
    }
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::string CutToWidth(absl::string_view text, int columns) {
  if (columns <= 0 || DisplayWidth(text) <= columns) return std::string(text);
  size_t bytes = 0;
  int width = 0;
  while (bytes < text.size()) {
    const Character c = Decode(text.substr(bytes));
    const int wanted = c.valid ? Width(c.code) : 1;
    if (width + wanted > columns - 1) break;
    width += wanted;
    bytes += c.bytes;
  }
  return absl::StrCat(text.substr(0, bytes), "…");
}

}  // namespace memtrace
