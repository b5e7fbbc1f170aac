// memtrace compare: what grew between two snapshots, and whether it grew too much.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tools/cli/commands.h"
#include "tools/cli/github.h"
#include "tools/cli/view_options.h"
#include "tools/model/threshold.h"
#include "tools/read/load.h"
#include "tools/render/breach.h"

namespace memtrace {
namespace {

struct CompareOptions {
  ViewOptions view;
  std::string old_source;
  std::string new_source;
  std::vector<std::string> fail_on;
};

// Says each broken limit; 1 if there is any.
int CheckRules(const std::vector<Rule>& rules, const Profile& old_profile,
               const Profile& new_profile, const View& view) {
  int status = 0;
  for (const Rule& rule : rules) {
    absl::StatusOr<std::optional<Breach>> breach = CheckRule(rule, old_profile, new_profile, view);
    if (!breach.ok()) return Complain(breach.status());
    if (!breach->has_value()) continue;
    status = 1;
    std::fprintf(stderr, "memtrace: %s\n", BreachSentence(**breach).c_str());
    AnnotateOnGitHub(**breach);
  }
  return status;
}

int CompareProfiles(const CompareOptions& options, const Profile& old_profile,
                    const Profile& new_profile, const View& view, const std::vector<Rule>& rules) {
  absl::StatusOr<Table> table = Compare(old_profile, new_profile, view);
  if (!table.ok()) {
    return Complain(table.status(), table.status().code() == absl::StatusCode::kInvalidArgument);
  }
  RenderInput input;
  input.profile = &new_profile;
  input.old_profile = &old_profile;
  input.table = &*table;
  input.top = static_cast<size_t>(options.view.top);
  input.terminal = TerminalFrom(options.view);
  absl::Status status = Emit(options.view, Render(input, FormatFrom(options.view)));
  if (!status.ok()) return Complain(status);
  status = SummarizeOnGitHub(input);
  if (!status.ok()) Complain(status);  // the comparison stands
  return CheckRules(rules, old_profile, new_profile, view);
}

int RunCompare(const CompareOptions& options) {
  absl::StatusOr<View> view = ViewFrom(options.view);
  if (!view.ok()) return Complain(view.status(), /*usage=*/true);
  // tracemalloc lists the unchanged lines too, at the end.
  view->keep_unchanged = FormatFrom(options.view) == Format::kTracemalloc;
  std::vector<Rule> rules;
  for (const std::string& text : options.fail_on) {
    absl::StatusOr<Rule> rule = ParseRule(text);
    if (!rule.ok()) return Complain(rule.status(), /*usage=*/true);
    rules.push_back(*std::move(rule));
  }
  const LoadOptions load = LoadOptionsFrom(options.view);
  absl::StatusOr<Profile> old_profile = LoadProfile(options.old_source, load);
  if (!old_profile.ok()) return Complain(old_profile.status());
  absl::StatusOr<Profile> new_profile = LoadProfile(options.new_source, load);
  if (!new_profile.ok()) return Complain(new_profile.status());
  return CompareProfiles(options, *old_profile, *new_profile, *view, rules);
}

}  // namespace

void RegisterCompare(CLI::App& app, int* status) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand("compare", "Show what grew from one snapshot to another");
  command->add_option("old", options->old_source, "The earlier snapshot (or pid, or region file)")
      ->required()
      ->type_name("OLD");
  command->add_option("new", options->new_source, "The later one")->required()->type_name("NEW");
  AddViewOptions(command, &options->view);
  command
      ->add_option("--fail-on", options->fail_on,
                   "Exit with 1 if memory grew by more than this; may be repeated.\n"
                   "RULE: [total:|line:|function:|file:][inuse|peak|alloc]>AMOUNT[&&>AMOUNT...]\n"
                   "AMOUNT: a number with %, B, kB, MB, GB, KiB, MiB, GiB or blocks;\n"
                   "percentages are relative to OLD")
      ->allow_extra_args(false)
      ->type_name("RULE");
  command->footer(
      "Example: memtrace compare before.mtr after.mtr --own --top 3\n"
      "In CI:   memtrace compare main.mtr branch.mtr --fail-on 'inuse>5%&&>2MiB'");
  command->callback([options, status] { *status = RunCompare(*options); });
}

}  // namespace memtrace
