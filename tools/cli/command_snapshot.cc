// memtrace snapshot: a picture of a traced process, living or dead, without stopping it.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/cli/commands.h"
#include "tools/cli/region_table.h"
#include "tools/cli/say.h"
#include "tools/cli/series.h"
#include "tools/cli/view_options.h"
#include "tools/model/snapshot_file.h"
#include "tools/read/load.h"
#include "tools/read/processes.h"
#include "tools/render/units.h"

namespace memtrace {
namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;

struct SnapshotOptions {
  std::string target;
  std::string output;
  bool quiet = false;
  bool no_thread_label = false;
  std::string every;
  int count = 0;
  LoadOptions load;
  WriteOptions write;
};

// Without an argument: the only traced process there is. Living ones come before dead ones.
absl::StatusOr<RegionEntry> OnlyOne() {
  std::vector<RegionEntry> living, readable;
  for (RegionEntry& entry : FindRegions(RegionFolders())) {
    if (!entry.status.ok() || entry.state == EndKind::kReplacedByExec) continue;
    if (entry.alive()) living.push_back(entry);
    readable.push_back(std::move(entry));
  }
  const std::vector<RegionEntry>& candidates = living.empty() ? readable : living;
  if (candidates.size() == 1) return candidates.front();
  if (candidates.empty()) {
    return absl::NotFoundError("no process is being traced; start one with `memtrace run PROGRAM`");
  }
  return absl::InvalidArgumentError(absl::StrCat(
      candidates.size(), " traced processes; name one of them: memtrace snapshot PID\n",
      RegionTable(candidates)));
}

std::string DefaultOutput(const std::vector<std::string>& command, int32_t pid) {
  std::string name = ProgramName(command);
  for (char& c : name) {
    if (c == '/') c = '_';
  }
  return absl::StrFormat("memtrace-%s.%d.mtr", name, pid);
}

std::string DefaultOutput(const Profile& profile) {
  if (profile.processes.empty()) return "memtrace.mtr";
  return DefaultOutput(profile.processes.front().command, profile.processes.front().pid);
}

int Refuse(const absl::Status& status) {
  Say(status.message());
  return absl::IsInvalidArgument(status) ? kUsage : kFailure;
}

void TellWritten(const Profile& profile, const std::string& path) {
  Values totals = profile.MemoryTotals();
  int64_t peak = 0;
  for (const Process& process : profile.processes) peak += process.peak_bytes;
  Say(absl::StrFormat("saved %s (now %s in %s blocks, peak %s)   next: memtrace report %s", path,
                      FormatSize(totals.inuse_bytes), FormatCount(totals.inuse_objects),
                      FormatSize(peak), path));
}

int Series(const SnapshotOptions& options) {
  if (options.every.empty()) {
    return Refuse(absl::InvalidArgumentError("--count goes with --every, for example --every 10s"));
  }
  absl::StatusOr<absl::Duration> every = ParsePeriod(options.every);
  if (!every.ok()) return Refuse(every.status());
  absl::StatusOr<RegionEntry> entry =
      options.target.empty() ? OnlyOne() : ResolveRegion(options.target);
  if (!entry.ok()) return Refuse(entry.status());
  SeriesOptions series;
  series.every = *every;
  series.count = options.count;
  series.output =
      options.output.empty() ? DefaultOutput(entry->command, entry->pid) : options.output;
  series.quiet = options.quiet;
  series.load = options.load;
  series.write = options.write;
  absl::Status status = TakeSeries(*entry, series);
  return status.ok() ? 0 : Refuse(status);
}

int Snapshot(const SnapshotOptions& options) {
  if (!options.every.empty() || options.count > 0) return Series(options);
  absl::StatusOr<Profile> profile = absl::UnknownError("");
  if (options.target.empty()) {
    absl::StatusOr<RegionEntry> entry = OnlyOne();
    if (!entry.ok()) {
      std::fprintf(stderr, "memtrace: %s\n", std::string(entry.status().message()).c_str());
      return absl::IsInvalidArgument(entry.status()) ? kUsage : kFailure;
    }
    profile = LoadRegion(*entry, options.load);
  } else {
    profile = LoadProfile(options.target, options.load);
  }
  if (!profile.ok()) {
    Say(profile.status().message());
    return kFailure;
  }
  const std::string output = options.output.empty() ? DefaultOutput(*profile) : options.output;
  if (absl::Status s = WriteSnapshotFile(*profile, output, options.write); !s.ok()) {
    Say(s.message());
    return kFailure;
  }
  if (!options.quiet && output != "-") TellWritten(*profile, output);
  return 0;
}

}  // namespace

void RegisterSnapshot(CLI::App& app, int* status) {
  auto options = std::make_shared<SnapshotOptions>();
  CLI::App* command = app.add_subcommand(
      "snapshot", "Write a snapshot of a traced process, living or dead, without stopping it");
  command
      ->add_option("target", options->target,
                   "Pid or name of a traced process, a region file, or a snapshot file to write "
                   "anew; without it: the only traced process")
      ->type_name("PID|NAME|FILE");
  command
      ->add_option("-o,--output", options->output,
                   "File to write; - is standard output [memtrace-PROGRAM.PID.mtr]")
      ->type_name("FILE");
  command->add_flag("-f,--force", options->write.force, "Replace an existing file");
  command->add_flag("-q,--quiet", options->quiet, "Say nothing when all is well");
  command->add_flag("--no-thread-label", options->no_thread_label,
                    "Do not label samples by thread");
  command->add_flag("--strict-pprof", options->write.strict_pprof,
                    "Plain pprof only, without what memtrace adds to it");
  command->add_flag("--symbolize,!--no-symbolize", options->load.symbolize,
                    "Look up the names of native code now (default), or leave modules and\n"
                    "addresses: faster, and `memtrace report` looks them up later");
  AddSymbolsOption(command, &options->load.symbols.folders);
  command
      ->add_option("--every", options->every,
                   "A series of snapshots, one each 10s, 5m, ...: FILE-001.mtr, FILE-002.mtr, ...")
      ->type_name("TIME");
  command
      ->add_option("--count", options->count,
                   "How many of them; else until the process ends, or Ctrl-C")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  command->footer(
      "Example: memtrace snapshot 4711 -o before.mtr\n"
      "Leaks:   memtrace snapshot 4711 --every 10s --count 6 -o leak");
  command->callback([options, status] {
    options->write.thread_label = !options->no_thread_label;
    *status = Snapshot(*options);
  });
}

}  // namespace memtrace
