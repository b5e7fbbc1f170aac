// memtrace run: starts a program under the library, watches it, and reports at its end.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tools/cli/child.h"
#include "tools/cli/commands.h"
#include "tools/cli/ended_processes.h"
#include "tools/cli/ledger_history.h"
#include "tools/cli/library_path.h"
#include "tools/cli/oom_watch.h"
#include "tools/cli/python_package.h"
#include "tools/cli/rss_history.h"
#include "tools/cli/say.h"
#include "tools/cli/session.h"
#include "tools/cli/status_line.h"
#include "tools/cli/unwind_methods.h"
#include "tools/model/snapshot_file.h"
#include "tools/read/load.h"
#include "tools/render/summary.h"

namespace memtrace {
namespace {

constexpr int kUsage = 2;
constexpr int kOwnFailure = 125;
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;
// Of the child's ticks
constexpr int kStatusTicks = 5;  // from one status line to the next
constexpr int kEndedTicks = 4;   // from one look at processes that have ended to the next

struct RunOptions {
  std::string output;
  bool force = false;
  int stack_depth = -1;
  bool native = false;
  bool native_interpreter = false;
  std::string unwind;
  bool unwind_check = false;
  bool exact_peak = false;
  bool no_args = false;
  bool tracemalloc = false;
  bool memory_profiler = false;
  bool no_summary = false;
  bool quiet = false;
  std::vector<std::string> program;
};

using Variables = std::vector<std::pair<std::string, std::string>>;

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
}

// Said before the program starts: hours of run should not end in "file exists".
absl::Status CheckOutput(const RunOptions& options) {
  if (options.output.empty() || options.output == "-") return absl::OkStatus();
  struct stat info;
  if (stat(options.output.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.output, ": a folder; -o takes the name of the file to write"));
  }
  if (Exists(options.output) && !options.force) {
    return absl::AlreadyExistsError(
        absl::StrCat(options.output, ": exists already; -f replaces it"));
  }
  const std::string folder = FolderOf(options.output);
  if (access(folder.c_str(), W_OK) != 0) {
    return absl::PermissionDeniedError(
        absl::StrFormat("%s: cannot be written to: %s", folder, std::strerror(errno)));
  }
  return absl::OkStatus();
}

std::string AbsolutePath(const std::string& path) {
  if (path.empty() || path == "-" || path[0] == '/') return path;
  std::unique_ptr<char, decltype(&std::free)> cwd(getcwd(nullptr, 0), std::free);
  return cwd == nullptr ? path : absl::StrCat(cwd.get(), "/", path);
}

// folder/memtrace-PROGRAM.PID.mtr, numbered where there is one already.
std::string DefaultOutput(const std::string& folder, const Process& process) {
  std::string name = ProgramName(process.command);
  std::replace(name.begin(), name.end(), '/', '_');
  const std::string file = absl::StrFormat("%smemtrace-%s.%d", folder, name, process.pid);
  std::string path = absl::StrCat(file, ".mtr");
  for (int i = 2; Exists(path) && i < 1000; ++i) path = absl::StrCat(file, "-", i, ".mtr");
  return path;
}

// What the library is told of native stacks.
void AddNativeVariables(const RunOptions& options, Variables* variables) {
  if (!options.native && !options.native_interpreter && options.unwind.empty() &&
      !options.unwind_check) {
    return;
  }
  variables->emplace_back("MEMTRACE_NATIVE", "1");
  if (options.native_interpreter) variables->emplace_back("MEMTRACE_NATIVE_INTERPRETER", "1");
  if (!options.unwind.empty()) variables->emplace_back("MEMTRACE_UNWIND", options.unwind);
  if (options.unwind_check) variables->emplace_back("MEMTRACE_UNWIND_CHECK", "1");
}

// Under --tracemalloc the interpreter's own tracemalloc must not start: its stand-in is told what
// the user has asked for.
void TakeTracemallocRequest(std::vector<std::string>* program, Variables* variables) {
  const char* variable = getenv("PYTHONTRACEMALLOC");
  std::string frames = variable != nullptr ? variable : "";
  unsetenv("PYTHONTRACEMALLOC");
  const std::string option = TakeTracemallocOption(program);
  if (!option.empty()) frames = option;
  if (!frames.empty()) variables->emplace_back("MEMTRACE_TRACEMALLOC", frames);
}

// What Python programs find of memtrace's package. Programs run without it, too, unless it was
// asked for by name.
absl::Status AddPackage(RunOptions* options, Variables* variables) {
  std::vector<std::string> stand_ins;
  if (options->tracemalloc) stand_ins.push_back("tracemalloc");
  if (options->memory_profiler) stand_ins.push_back("memory_profiler");
  const absl::StatusOr<std::string> package = FindPackage();
  const bool usable = package.ok() && package->find(':') == std::string::npos;
  if (!usable && stand_ins.empty()) return absl::OkStatus();
  if (!package.ok()) return package.status();
  if (!usable) {
    return absl::FailedPreconditionError(absl::StrCat(
        *package, ": PYTHONPATH cannot hold a path with colons; install memtrace elsewhere"));
  }
  if (options->tracemalloc) TakeTracemallocRequest(&options->program, variables);
  variables->emplace_back("PYTHONPATH", PythonPath(*package, stand_ins));
  return absl::OkStatus();
}

class Run {
 public:
  explicit Run(RunOptions* options) : options_(*options) {}
  int Main();

 private:
  absl::Status Prepare();
  int Refuse(bool denied) const;
  int Report(const ChildResult& child);
  bool Collect(const ChildResult& child, Profile* profile);
  void DescribeEnd(const ChildResult& child, Profile* profile) const;
  std::string Save(const Profile& profile);

  RunOptions& options_;
  std::string session_;
  Variables variables_;
  RssHistory rss_;
  std::unique_ptr<EndedProcesses> ended_;
  std::unique_ptr<LedgerHistory> ledgers_;
  OomWatch oom_;
  std::string output_;
  bool some_live_ = false;
};

absl::Status Run::Prepare() {
  if (absl::Status s = CheckOutput(options_); !s.ok()) return s;
  output_ = AbsolutePath(options_.output);
  absl::StatusOr<std::string> library = FindLibrary();
  if (!library.ok()) return library.status();
  std::string refused;
  absl::StatusOr<std::string> session = MakeSession(&refused);
  if (!session.ok()) return session.status();
  session_ = *session;
  if (!refused.empty() && !options_.quiet) {
    Say(absl::StrCat(refused, "; the records are in ", FolderOf(session_)));
  }
  library = PreloadablePath(*library, session_);
  if (!library.ok()) return library.status();
  // After what is there: other preloaded libraries keep their place.
  const char* preload = getenv("LD_PRELOAD");
  variables_ = {
      {"LD_PRELOAD",
       preload != nullptr && *preload != '\0' ? absl::StrCat(preload, ":", *library) : *library},
      {"MEMTRACE_DIR", session_},
      {"MEMTRACE_TOOL", ToolPath()}};
  if (options_.stack_depth >= 0) {
    variables_.emplace_back("MEMTRACE_STACK_DEPTH", absl::StrCat(options_.stack_depth));
  }
  AddNativeVariables(options_, &variables_);
  if (options_.exact_peak) variables_.emplace_back("MEMTRACE_EXACT_PEAK", "1");
  if (options_.no_args) variables_.emplace_back("MEMTRACE_NO_ARGS", "1");
  if (options_.quiet) variables_.emplace_back("MEMTRACE_QUIET", "1");
  return AddPackage(&options_, &variables_);
}

int Run::Refuse(bool denied) const {
  const std::string& name = options_.program[0];
  if (denied) {
    Say(absl::StrCat(name, ": cannot be executed; is it a program, and is it executable?"));
    return kCannotExecute;
  }
  const bool path = name.find('/') != std::string::npos;
  Say(absl::StrCat(name, path ? ": there is no such file" : ": not found on PATH"));
  return kNotFound;
}

int Run::Main() {
  bool denied = false;
  const std::string executable = FindProgram(options_.program[0], &denied);
  if (absl::Status s = CheckOutput(options_); s.ok() && executable.empty()) return Refuse(denied);
  if (absl::Status s = Prepare(); !s.ok()) {
    Say(s.message());
    if (!session_.empty()) RemoveSession(session_);
    return kOwnFailure;
  }
  if (const std::string why = WhyUntraceable(executable); !why.empty()) {
    Say(absl::StrCat(executable, " cannot be traced: ", why, "; it runs all the same"));
  }
  std::unique_ptr<StatusLine> line;
  int pid = 0, tick = 0;
  ChildHooks hooks;
  hooks.on_start = [&](int started) {
    pid = started;
    oom_.Sample(pid);
    line = std::make_unique<StatusLine>(!options_.quiet, session_, pid);
    ended_ = std::make_unique<EndedProcesses>(session_, pid);
    ledgers_ = std::make_unique<LedgerHistory>(session_, pid);
  };
  hooks.on_tick = [&](int64_t elapsed_ns) {
    rss_.Sample(pid, absl::ToUnixNanos(absl::Now()));
    if (ledgers_ != nullptr) ledgers_->Tick(elapsed_ns, rss_.latest());
    if (tick % kEndedTicks == 0 && ended_ != nullptr) ended_->Poll();
    oom_.Sample(pid);
    if (++tick % kStatusTicks == 0 && line != nullptr) line->Update(elapsed_ns);
  };
  hooks.on_stop = [&] {
    if (line != nullptr) line->Hide();
  };
  absl::StatusOr<ChildResult> child = RunChild(options_.program, variables_, hooks);
  line.reset();
  if (!child.ok()) {
    Say(child.status().message());
    RemoveSession(session_);
    return kOwnFailure;
  }
  if (child->exec_error != 0) {
    Say(absl::StrFormat("%s: cannot be executed: %s", executable,
                        child->exec_error == ENOENT ? "its interpreter is missing"
                                                    : std::strerror(child->exec_error)));
    RemoveSession(session_);
    return child->exec_error == ENOENT ? kNotFound : kCannotExecute;
  }
  return Report(*child);
}

// Of the program itself we know better than its region how it ended.
void Run::DescribeEnd(const ChildResult& child, Profile* profile) const {
  if (profile->processes.empty() || profile->processes.front().pid != child.pid) return;
  Process& process = profile->processes.front();
  process.end = child.signaled ? EndKind::kSignaled : EndKind::kExited;
  process.end_status = child.status;
  process.duration_ns = std::max(process.duration_ns, child.elapsed_ns);
  rss_.AnnotateTimeline(&process);
  if (ledgers_ != nullptr) ledgers_->Finish(&process);
}

// False when there is nothing to report.
bool Run::Collect(const ChildResult& child, Profile* profile) {
  const std::vector<RegionEntry> entries = SessionRegions(session_, child.pid);
  some_live_ = std::any_of(entries.begin(), entries.end(),
                           [](const RegionEntry& e) { return e.status.ok() && e.alive(); });
  std::vector<RegionEntry> of_main;
  std::copy_if(entries.begin(), entries.end(), std::back_inserter(of_main),
               [&](const RegionEntry& e) { return e.pid == child.pid; });
  std::vector<std::string> problems;
  *profile = LoadRegions(of_main, &problems);
  ended_->Finish(profile, &problems);
  for (const std::string& problem : problems) Say(problem);
  DescribeEnd(child, profile);
  return !profile->processes.empty();
}

// The path written, or "" when it could not be. A run without -o is saved in the present folder, or
// in the one for temporary files if that fails.
std::string Run::Save(const Profile& profile) {
  WriteOptions write;
  write.force = options_.force;
  const char* tmp = getenv("TMPDIR");
  std::vector<std::string> paths = {output_};
  if (output_.empty()) {
    const Process& process = profile.processes.front();
    paths = {
        DefaultOutput("", process),
        DefaultOutput(absl::StrCat(tmp != nullptr && *tmp != '\0' ? tmp : "/tmp", "/"), process)};
  }
  for (const std::string& path : paths) {
    absl::Status status = WriteSnapshotFile(profile, path, write);
    if (status.ok()) return output_.empty() ? path : options_.output;
    Say(status.message());
  }
  Say(absl::StrFormat("the records are kept: memtrace snapshot %d -o FILE",
                      profile.processes.front().pid));
  return "";
}

int Run::Report(const ChildResult& child) {
  const int status = child.signaled ? 128 + child.status : child.status;
  Profile profile;
  if (!Collect(child, &profile)) {
    if (!options_.quiet) {
      Say("nothing was recorded: the program did not load the library; `memtrace doctor` tells "
          "more");
    }
    RemoveSession(session_);
    return status;
  }
  const std::string saved = Save(profile);
  if (!options_.quiet && !options_.no_summary) {
    SummaryOptions summary;
    summary.terminal = DescribeTerminal(STDERR_FILENO);
    summary.saved_path = saved == "-" ? "" : saved;
    if (child.signaled && child.status == SIGKILL) summary.killed_because = oom_.Struck();
    std::fputs(RenderRunSummary(profile, summary).c_str(), stderr);
  }
  if (saved.empty()) return status == 0 ? kOwnFailure : status;
  if (!some_live_) {
    RemoveSession(session_);
  } else if (!options_.quiet) {
    Say("some of its processes still run; `memtrace list` shows them");
  }
  return status;
}

// What follows the options is the program's own, which CLI11 does not know of.
class RunFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    return "Usage: memtrace run [OPTIONS] [--] PROGRAM [ARGUMENTS...]\n";
  }
};

}  // namespace

void RegisterRun(CLI::App& app, int* status) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand(
      "run", "Run a program under memtrace, report at its end, and save a snapshot");
  command
      ->add_option("-o,--output", options->output,
                   "Snapshot to write; - is standard output [memtrace-PROGRAM.PID.mtr]")
      ->type_name("FILE");
  command->add_flag("-f,--force", options->force, "Replace an existing file");
  command
      ->add_option("--stack-depth", options->stack_depth,
                   "Frames recorded of each stack, innermost first; 0: all, 1: the line alone [0]")
      ->check(CLI::Range(0, 1 << 20))
      ->type_name("N");
  command->add_flag("--native", options->native,
                    "Record each allocation's native stack (C, C++, Rust), too, not only its "
                    "immediate\ncaller: slower");
  command->add_flag("--native-interpreter", options->native_interpreter,
                    "--native, with the Python interpreter's own functions");
  command
      ->add_option("--unwind", options->unwind,
                   "--native, with stacks taken in this way; `memtrace doctor` says which work "
                   "here\n[incremental]")
      ->check(CLI::IsMember(UnwindMethods()));
  command
      ->add_flag("--unwind-check", options->unwind_check,
                 "--native, with each stack compared with a full unwinding: very slow")
      ->group("");
  command->add_flag("--exact-peak", options->exact_peak,
                    "Make the peak exact with several threads, too: slower where they allocate "
                    "at once");
  command->add_flag("--no-args", options->no_args,
                    "Do not record the program's arguments, which may hold secrets: its name only");
  command->add_flag("--tracemalloc", options->tracemalloc,
                    "Python programs that use tracemalloc get memtrace's figures from it, at a "
                    "fraction of its cost");
  command->add_flag("--memory-profiler", options->memory_profiler,
                    "Python programs that use memory_profiler get memtrace's figures from it; it "
                    "need not\nbe installed");
  command->add_flag("--no-summary", options->no_summary, "No summary at the end");
  command->add_flag("-q,--quiet", options->quiet, "No status line, no summary; errors only");
  command->prefix_command();
  command->formatter(std::make_shared<RunFormatter>());
  command->footer("Example: memtrace run -o a.mtr python main.py --fast");
  command->callback([command, options, status] {
    options->program = command->remaining();
    if (!options->program.empty() && options->program[0] == "--") {
      options->program.erase(options->program.begin());
    }
    if (options->program.empty()) {
      std::fputs("memtrace: no program to run\nTry: memtrace run --help\n", stderr);
      *status = kUsage;
    } else if (options->program[0].size() > 1 && options->program[0][0] == '-') {
      std::fprintf(stderr, "memtrace: unknown option %s\nTry: memtrace run --help\n",
                   Printable(options->program[0]).c_str());
      *status = kUsage;
    } else {
      *status = Run(options.get()).Main();
    }
  });
}

}  // namespace memtrace
