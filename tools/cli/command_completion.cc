// memtrace completion: the completion script of a shell, on standard output.

#include <cstdio>
#include <memory>
#include <string>

#include "tools/cli/commands.h"
#include "tools/cli/completion.h"

namespace memtrace {

void RegisterCompletion(CLI::App& app, int* status) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print the completion script of a shell");
  command->add_option("shell", *shell, "The shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("Example: source <(memtrace completion bash)");
  command->callback([shell, status, &app] {
    const std::string script = *shell == "bash"  ? BashCompletion(app)
                               : *shell == "zsh" ? ZshCompletion(app)
                                                 : FishCompletion(app);
    std::fputs(script.c_str(), stdout);
    *status = 0;
  });
}

}  // namespace memtrace
