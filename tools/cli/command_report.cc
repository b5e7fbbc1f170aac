// memtrace report: where the memory is, in one or several snapshots or live processes.

#include <memory>
#include <string>
#include <vector>

#include "tools/cli/commands.h"
#include "tools/cli/view_options.h"
#include "tools/read/load.h"

namespace memtrace {
namespace {

struct ReportOptions {
  ViewOptions view;
  std::vector<std::string> sources;
};

absl::StatusOr<Profile> LoadAll(const std::vector<std::string>& sources) {
  absl::StatusOr<Profile> first = LoadProfile(sources[0]);
  for (size_t i = 1; first.ok() && i < sources.size(); ++i) {
    absl::StatusOr<Profile> next = LoadProfile(sources[i]);
    if (!next.ok()) return next.status();
    first->Merge(*next);
  }
  return first;
}

int Report(const ReportOptions& options) {
  absl::StatusOr<View> view = ViewFrom(options.view);
  if (!view.ok()) return Complain(view.status(), /*usage=*/true);
  absl::StatusOr<Profile> profile = LoadAll(options.sources);
  if (!profile.ok()) return Complain(profile.status());
  absl::StatusOr<Table> table = Aggregate(*profile, *view);
  if (!table.ok()) {
    return Complain(table.status(), table.status().code() == absl::StatusCode::kInvalidArgument);
  }
  RenderInput input;
  input.profile = &*profile;
  input.table = &*table;
  input.top = static_cast<size_t>(options.view.top);
  input.terminal = TerminalFrom(options.view);
  absl::Status status = Emit(options.view, Render(input, FormatFrom(options.view)));
  return status.ok() ? 0 : Complain(status);
}

}  // namespace

void RegisterReport(CLI::App& app, int* status) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command =
      app.add_subcommand("report", "Show current, peak or all memory by line, function, file, ...");
  command
      ->add_option(
          "snapshot", options->sources,
          "Snapshot files, pids of traced processes, or region files; several are added up")
      ->required()
      ->type_name("SNAPSHOT|PID");
  AddViewOptions(command, &options->view);
  command->footer("Example: memtrace report a.mtr --at peak --own --top 10");
  command->callback([options, status] { *status = Report(*options); });
}

}  // namespace memtrace
