#include "tools/cli/status_line.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "tools/read/figures.h"
#include "tools/render/terminal.h"
#include "tools/render/units.h"

namespace memtrace {
namespace {

constexpr int64_t kFirstShown = 1000000000;  // ns
constexpr int kLeastRows = 8;

bool IsSet(const char* variable) {
  const char* value = getenv(variable);
  return value != nullptr && *value != '\0' && std::strcmp(value, "false") != 0;
}

bool TerminalCanShow() {
  const char* term = getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && term != nullptr && *term != '\0' &&
         std::strcmp(term, "dumb") != 0 && !IsSet("CI");
}

// Written at once, so that the program's own output does not get between.
void Put(const std::string& text) {
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;  // the terminal is gone
}

// In its normal mode the terminal gives whole lines to the program; editors and the like switch it.
bool InNormalMode() {
  termios mode;
  return tcgetattr(STDERR_FILENO, &mode) == 0 && (mode.c_lflag & ICANON) != 0 &&
         tcgetpgrp(STDERR_FILENO) == getpgrp();
}

}  // namespace

StatusLine::StatusLine(bool wanted, std::string session, int32_t pid)
    : wanted_(wanted && TerminalCanShow()), follower_(std::move(session), pid) {}

bool StatusLine::Show(int rows) {
  if (rows == rows_) return true;
  Hide();
  // Room for the line; then the rows above it become the scrolling area.
  Put(
      absl::StrFormat("\n\x1b"
                      "7\x1b[1;%dr\x1b"
                      "8\x1b[1A",
                      rows - 1));
  rows_ = rows;
  return true;
}

void StatusLine::Hide() {
  if (rows_ == 0) return;
  Put(
      absl::StrFormat("\x1b"
                      "7\x1b[%d;1H\x1b[2K\x1b[r\x1b"
                      "8",
                      rows_));
  rows_ = 0;
}

void StatusLine::Update(int64_t elapsed_ns) {
  if (!wanted_ || elapsed_ns < kFirstShown) return;
  winsize size = {};
  if (!InNormalMode() || ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < kLeastRows ||
      follower_.Look() == nullptr) {
    Hide();
    return;
  }
  const RegionFile& region = *follower_.region();
  const HeaderTotals totals = ReadTotals(region);
  const std::string text =
      absl::StrFormat("memtrace  %s   now %s   peak %s   %s allocations",
                      FormatDuration(elapsed_ns), FormatSize(totals.now_bytes),
                      FormatSize(totals.peak_bytes), FormatCount(CountAllocations(region)));
  Show(size.ws_row);
  Put(
      absl::StrFormat("\x1b"
                      "7\x1b[%d;1H\x1b[2K\x1b[2m%s\x1b[0m\x1b"
                      "8",
                      rows_, CutToWidth(text, size.ws_col - 1)));
}

}  // namespace memtrace
