#include "tools/cli/run_arguments.h"

#include <cstddef>

namespace memtrace {

void DropRunSeparator(std::vector<std::string>* arguments) {
  if (arguments->empty() || arguments->front() != "run") return;
  for (size_t i = 1; i < arguments->size(); ++i) {
    const std::string& argument = (*arguments)[i];
    if (argument == "--") {
      arguments->erase(arguments->begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
    if (argument.size() < 2 || argument[0] != '-') return;  // the program
    // The options of `run` that are followed by their value.
    if (argument == "-o" || argument == "--output" || argument == "--stack-depth" ||
        argument == "--unwind") {
      ++i;
    }
  }
}

}  // namespace memtrace
