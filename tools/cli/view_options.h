// The flags that report and compare share, and what follows from them.

#ifndef MEMTRACE_TOOLS_CLI_VIEW_OPTIONS_H_
#define MEMTRACE_TOOLS_CLI_VIEW_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/model/aggregate.h"
#include "tools/read/load.h"
#include "tools/render/render.h"

namespace memtrace {

struct ViewOptions {
  std::string by = "lineno";
  std::string at = "now";
  int top = 10;
  std::vector<std::string> domains;
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  std::vector<std::string> labels;
  bool own = false;
  bool cumulative = false;
  std::string format = "text";
  std::vector<std::string> mappings;
  std::string process;
  std::vector<std::string> symbols;
  std::string color = "auto";
  std::string output;
  bool force = false;
};

void AddViewOptions(CLI::App* command, ViewOptions* options);

// Where names of native code are looked for; adds --symbols.
void AddSymbolsOption(CLI::App* command, std::vector<std::string>* folders);
LoadOptions LoadOptionsFrom(const ViewOptions& options);

// InvalidArgument for what CLI11 cannot check by itself.
absl::StatusOr<View> ViewFrom(const ViewOptions& options);

Format FormatFrom(const ViewOptions& options);
Terminal TerminalFrom(const ViewOptions& options);

// The text to standard output or to the file of -o.
absl::Status Emit(const ViewOptions& options, const std::string& text);

// "memtrace: ..." on stderr; the exit status that goes with it: 2 for usage, else 1.
int Complain(const absl::Status& status, bool usage = false);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_VIEW_OPTIONS_H_
