// memtrace report: where the memory is, in one or several snapshots or live processes; with --leaks
// what grows and goes on growing over many snapshots of one process.

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/cli/commands.h"
#include "tools/cli/github.h"
#include "tools/cli/view_options.h"
#include "tools/model/leaks.h"
#include "tools/read/load.h"
#include "tools/render/breach.h"

namespace memtrace {
namespace {

struct ReportOptions {
  ViewOptions view;
  std::vector<std::string> sources;
  bool leaks = false;
  std::vector<std::string> fail_on;
};

// Wrong options are wrong usage, whoever notices them.
int ComplainOf(const absl::Status& status) {
  return Complain(status, absl::IsInvalidArgument(status));
}

absl::StatusOr<Profile> LoadAll(const std::vector<std::string>& sources,
                                const LoadOptions& options) {
  absl::StatusOr<Profile> first = LoadProfile(sources[0], options);
  for (size_t i = 1; first.ok() && i < sources.size(); ++i) {
    absl::StatusOr<Profile> next = LoadProfile(sources[i], options);
    if (!next.ok()) return next.status();
    first->Merge(*next);
  }
  return first;
}

// Says each broken limit; 1 if there is any.
int CheckLimits(const std::vector<GrowthLimit>& limits, const LeakTable& table) {
  int status = 0;
  for (const GrowthLimit& limit : limits) {
    const std::optional<GrowthBreach> breach = CheckGrowth(limit, table);
    if (!breach.has_value()) continue;
    status = 1;
    std::fprintf(stderr, "memtrace: %s\n", GrowthSentence(*breach, table.view.by).c_str());
    AnnotateOnGitHub(*breach, table.view.by);
  }
  return status;
}

int ReportLeaks(const ReportOptions& options, const View& view) {
  std::vector<GrowthLimit> limits;
  for (const std::string& text : options.fail_on) {
    absl::StatusOr<GrowthLimit> limit = ParseGrowthLimit(text);
    if (!limit.ok()) return ComplainOf(limit.status());
    limits.push_back(*std::move(limit));
  }
  LeakFinder finder(view);
  for (const std::string& source : options.sources) {
    absl::StatusOr<Profile> profile = LoadProfile(source, LoadOptionsFrom(options.view));
    if (!profile.ok()) return Complain(profile.status());
    absl::Status status = finder.Add(*std::move(profile), source);
    if (!status.ok()) return ComplainOf(status);
  }
  absl::StatusOr<LeakTable> table = finder.Finish();
  if (!table.ok()) return ComplainOf(table.status());
  LeakInput input;
  input.profile = &finder.latest();
  input.table = &*table;
  input.top = static_cast<size_t>(options.view.top);
  input.terminal = TerminalFrom(options.view);
  absl::StatusOr<std::string> text = RenderLeaks(input, FormatFrom(options.view));
  if (!text.ok()) return ComplainOf(text.status());
  absl::Status status = Emit(options.view, *text);
  return status.ok() ? CheckLimits(limits, *table) : Complain(status);
}

int Report(const ReportOptions& options) {
  absl::StatusOr<View> view = ViewFrom(options.view);
  if (!view.ok()) return Complain(view.status(), /*usage=*/true);
  if (options.leaks) return ReportLeaks(options, *view);
  if (!options.fail_on.empty()) {
    return ComplainOf(absl::InvalidArgumentError(
        "report --fail-on goes with --leaks; `memtrace compare` has limits between two snapshots"));
  }
  absl::StatusOr<Profile> profile = LoadAll(options.sources, LoadOptionsFrom(options.view));
  if (!profile.ok()) return Complain(profile.status());
  absl::StatusOr<Table> table = Aggregate(*profile, *view);
  if (!table.ok()) return ComplainOf(table.status());
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
  command->add_flag("--leaks", options->leaks,
                    "What grows in every interval between three or more snapshots of one process");
  command
      ->add_option("--fail-on", options->fail_on,
                   "With --leaks: exit with 1 if anything grows faster; may be repeated.\n"
                   "RATE: [total:][>|>=]AMOUNT/(s|min|h|d), for example 1MiB/h or 10blocks/s;\n"
                   "total: all of them together instead of any one row")
      ->allow_extra_args(false)
      ->type_name("RATE");
  command->footer(
      "Example: memtrace report a.mtr --at peak --own --top 10\n"
      "Leaks:   memtrace report --leaks --own leak-*.mtr");
  command->callback([options, status] { *status = Report(*options); });
}

}  // namespace memtrace
