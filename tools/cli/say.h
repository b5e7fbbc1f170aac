// memtrace's own words to the user, on stderr: "memtrace: what happened, where, what to do next".
#ifndef MEMTRACE_TOOLS_CLI_SAY_H_
#define MEMTRACE_TOOLS_CLI_SAY_H_

#include <cstdio>
#include <string>

#include "absl/strings/string_view.h"
#include "tools/render/terminal.h"

namespace memtrace {

// Control characters in names of files and programs do not reach the terminal.
inline void Say(absl::string_view message) {
  const std::string text = Printable(message);
  std::fprintf(stderr, "memtrace: %s\n", text.c_str());
}

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_SAY_H_
