#include "tools/cli/doctor_checks.h"

#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tools/cli/capture.h"
#include "tools/cli/library_path.h"
#include "tools/cli/session.h"
#include "tools/cli/unwind_methods.h"
#include "tools/read/decode.h"
#include "tools/read/figures.h"
#include "tools/read/processes.h"
#include "tools/read/region_file.h"
#include "tools/render/units.h"

namespace memtrace {
namespace {

constexpr int64_t kLittleSpace = int64_t{64} << 20;
constexpr long kTmpfsMagic = 0x01021994;
constexpr long kRamfsMagic = 0x858458f6;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return std::string(absl::StripAsciiWhitespace(text.str()));
}

Finding Ok(std::string subject, std::string what) {
  return {Verdict::kOk, std::move(subject), std::move(what), ""};
}
Finding Warn(std::string subject, std::string what, std::string advice) {
  return {Verdict::kWarn, std::move(subject), std::move(what), std::move(advice)};
}
Finding Fail(std::string subject, std::string what, std::string advice) {
  return {Verdict::kFail, std::move(subject), std::move(what), std::move(advice)};
}

// Runs a command under the library in a session of its own and decodes what it left.
struct Trial {
  Captured run;
  absl::StatusOr<Profile> profile = absl::NotFoundError("it left no region");
};

Trial Try(const std::string& library, const std::vector<std::string>& argv,
          std::vector<std::pair<std::string, std::string>> variables = {}) {
  Trial trial;
  absl::StatusOr<std::string> session = MakeSession();
  if (!session.ok()) {
    trial.profile = session.status();
    return trial;
  }
  absl::StatusOr<std::string> path = PreloadablePath(library, *session);
  if (path.ok()) {
    variables.emplace_back("LD_PRELOAD", *path);
    variables.emplace_back("MEMTRACE_DIR", *session);
    trial.run = Capture(argv, variables);
    // The youngest image is what the command became at last.
    for (const RegionEntry& entry : FindRegions({*session})) {
      if (!entry.status.ok()) continue;
      if (auto region = RegionFile::Open(entry.path); region.ok()) {
        trial.profile = DecodeRegion(**region);
      }
    }
  } else {
    trial.profile = path.status();
  }
  RemoveSession(*session);
  return trial;
}

void CheckLibrary(std::vector<Finding>* findings, std::string* library) {
  absl::StatusOr<std::string> found = FindLibrary();
  if (!found.ok()) {
    findings->push_back(Fail("library", std::string(found.status().message()),
                             "install memtrace as a whole, or set MEMTRACE_LIBRARY"));
    return;
  }
  const Trial trial = Try(*found, {"/bin/sh", "-c", "exit 7"});
  if (!trial.run.started) {
    findings->push_back(Fail(
        "library",
        absl::StrCat(*found, ": not tried, because there is ", trial.profile.status().message()),
        "see the line on records"));
  } else if (trial.run.status != 7) {
    const std::vector<std::string> lines = absl::StrSplit(trial.run.error, '\n');
    findings->push_back(Fail("library",
                             absl::StrCat(*found, ": a shell under it ends with status ",
                                          trial.run.status, ": ", lines.front()),
                             "build it on this machine, or use the package for this system"));
  } else if (!trial.profile.ok()) {
    const std::vector<std::string> lines = absl::StrSplit(trial.run.error, '\n');
    findings->push_back(
        Fail("library",
             absl::StrCat(*found, ": a shell ran under it, but recorded nothing: ",
                          lines.front().empty() ? std::string(trial.profile.status().message())
                                                : lines.front()),
             "see the other lines; memtrace needs a folder for its records"));
  } else {
    findings->push_back(
        Ok("library",
           absl::StrFormat("%s loads and records (%s allocations of a "
                           "shell)",
                           *found, FormatCount(trial.profile->MemoryTotals().alloc_objects))));
    *library = *found;
  }
}

// Each way to take native stacks is tried: a method that does not work is replaced by another, and
// the region says which was used.
void CheckUnwinding(std::vector<Finding>* findings, const std::string& library) {
  if (library.empty()) return;
  std::vector<std::string> usable, unusable;
  for (const std::string& method : UnwindMethods()) {
    const Trial trial = Try(library, {"/bin/sh", "-c", "exit 7"},
                            {{"MEMTRACE_NATIVE", "1"}, {"MEMTRACE_UNWIND", method}});
    const bool used = trial.run.status == 7 && trial.profile.ok() &&
                      !trial.profile->processes.empty() &&
                      trial.profile->processes.front().unwind_method == method;
    (used ? usable : unusable).push_back(method);
  }
  const std::string missing =
      unusable.empty() ? "" : absl::StrCat("; not usable: ", absl::StrJoin(unusable, ", "));
  if (usable.empty()) {
    findings->push_back(Warn("native", absl::StrCat("native stacks cannot be recorded", missing),
                             "use a library and a tool of the same version; without --native all "
                             "else works"));
  } else {
    findings->push_back(
        Ok("native", absl::StrCat("native stacks by ", absl::StrJoin(usable, ", "), missing)));
  }
}

void CheckKernel(std::vector<Finding>* findings) {
  utsname system;
  int major = 0, minor = 0;
  if (uname(&system) != 0) return;
  std::sscanf(system.release, "%d.%d", &major, &minor);
  const std::string what = absl::StrCat("Linux ", system.release, " on ", system.machine);
  const std::string machine = system.machine;
  if (machine != "x86_64" && machine != "aarch64") {
    findings->push_back(Fail("kernel", what, "memtrace is made for x86_64 and aarch64"));
  } else if (std::make_pair(major, minor) < std::make_pair(4, 14)) {
    findings->push_back(Warn("kernel", what,
                             "older than 4.14: programs that fork by other means than fork() may "
                             "not be recorded right"));
  } else {
    findings->push_back(Ok("kernel", what));
  }
}

void CheckFolder(std::vector<Finding>* findings) {
  std::string refused = "a folder on tmpfs is better";
  absl::StatusOr<std::string> session = MakeSession(&refused);
  if (!session.ok()) {
    findings->push_back(Fail("records", std::string(session.status().message()),
                             "set MEMTRACE_DIR to a folder of your own (mode 700), best on tmpfs"));
    return;
  }
  struct statfs info;
  const bool known = statfs(session->c_str(), &info) == 0;
  const std::string place = session->substr(0, session->rfind('/'));
  RemoveSession(*session);
  if (!known) return;
  const int64_t free_bytes = static_cast<int64_t>(info.f_bavail) * info.f_bsize;
  const bool memory = info.f_type == kTmpfsMagic || info.f_type == kRamfsMagic;
  const std::string what = absl::StrFormat("%s: %s free on %s", place, FormatSize(free_bytes),
                                           memory ? "tmpfs" : "a disk");
  if (free_bytes < kLittleSpace) {
    findings->push_back(Warn("records", what,
                             "little space: what does not fit is counted as lost; enlarge /dev/shm "
                             "(docker run --shm-size=512m), or set MEMTRACE_DIR"));
  } else if (!memory) {
    findings->push_back(Warn(
        "records", what, absl::StrCat("programs may wait for the disk now and then; ", refused)));
  } else {
    findings->push_back(Ok("records", what));
  }
}

void CheckMemoryLimits(std::vector<Finding>* findings) {
  if (ReadText("/proc/sys/vm/overcommit_memory") == "2") {
    findings->push_back(Warn("memory", "vm.overcommit_memory is 2: address space is rationed",
                             "memtrace uses smaller tables then; see the losses in the report"));
  }
  const auto check = [&](int resource, const char* name, const char* effect) {
    rlimit limit;
    if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY) {
      return;
    }
    findings->push_back(
        Warn("limits", absl::StrCat(name, " is ", FormatSize(static_cast<int64_t>(limit.rlim_cur))),
             effect));
  };
  check(RLIMIT_AS, "the limit of address space (ulimit -v)",
        "memtrace reserves address space that it does not use: raise it if allocations are lost");
  check(RLIMIT_FSIZE, "the limit of file size (ulimit -f)",
        "the records of a program are one file: raise it if allocations are lost");
  if (ReadText("/proc/sys/vm/overcommit_memory") != "2") {
    findings->push_back(Ok("memory", "address space is not rationed"));
  }
}

void CheckSandbox(std::vector<Finding>* findings) {
  for (absl::string_view line : absl::StrSplit(ReadText("/proc/self/status"), '\n')) {
    if (!absl::StartsWith(line, "Seccomp:")) continue;
    const bool filtered = absl::StrContains(line, "2");
    findings->push_back(Ok("sandbox", filtered
                                          ? "a seccomp filter is active (a container has one as a "
                                            "rule); the library was seen to work under it"
                                          : "no seccomp filter"));
  }
  const char* preload = getenv("LD_PRELOAD");
  if (preload == nullptr || *preload == '\0') return;
  for (const char* other : {"jemalloc", "tcmalloc", "mimalloc"}) {
    if (absl::StrContains(preload, other)) {
      findings->push_back(Ok("preload", absl::StrCat(other,
                                                     " is preloaded; memtrace passes on to "
                                                     "it")));
    }
  }
  for (const char* other : {"asan", "tsan", "msan", "heaptrack", "memray", "valgrind"}) {
    if (absl::StrContains(preload, other)) {
      findings->push_back(Warn("preload", absl::StrCat("LD_PRELOAD holds ", preload),
                               "it watches allocations as well; trace without it"));
    }
  }
}

// What a Python says of itself, one item a line.
constexpr const char* kAskPython =
    "import sys,sysconfig,platform\n"
    "print(platform.python_implementation())\n"
    "print('%d.%d.%d' % sys.version_info[:3])\n"
    "print(sys.executable)\n"
    "print('debug' if hasattr(sys,'gettotalrefcount') else '')\n"
    "print('shared' if sysconfig.get_config_var('Py_ENABLE_SHARED') else 'static')\n"
    "print('free-threaded' if sysconfig.get_config_var('Py_GIL_DISABLED') else '')\n";

Finding CheckPython(const std::string& name, const std::string& library) {
  const Captured asked = Capture({name, "-c", kAskPython}, {});
  std::vector<std::string> answers = absl::StrSplit(asked.standard, '\n');
  if (asked.status != 0 || answers.size() < 6) {
    return Warn(name, absl::StrCat("does not run (status ", asked.status, ")"),
                "native programs can be traced all the same");
  }
  const std::string what = absl::StrCat(answers[0], " ", answers[1], " (", answers[2], ", ",
                                        answers[4], answers[3].empty() ? "" : ", debug",
                                        answers[5].empty() ? "" : ", free-threaded", ")");
  if (library.empty()) return Warn(name, what, "not tried, because the library does not work");
  const Trial trial = Try(library, {name, "-c", "x = [bytes(99) for i in range(999)]"});
  if (trial.run.status != 0 || !trial.profile.ok()) {
    return Fail(name, absl::StrCat(what, ": fails under the library, status ", trial.run.status),
                "please report it");
  }
  const Process& process = trial.profile->processes.front();
  const bool frames = (process.flags & kFlagPythonOff) == 0 && !process.python.empty();
  if (!frames) {
    return Warn(name, absl::StrCat(what, ": its frames cannot be read"),
                "its memory is recorded by native caller only; use a release build of CPython "
                "3.8 to 3.14");
  }
  return Ok(name, absl::StrCat(what, ": traced with full stacks"));
}

void CheckPythons(std::vector<Finding>* findings, const std::string& library) {
  bool any = false, denied = false;
  std::string first;
  for (const char* name : {"python3", "python"}) {
    const std::string path = FindProgram(name, &denied);
    char* resolved = path.empty() ? nullptr : realpath(path.c_str(), nullptr);
    if (resolved == nullptr) continue;
    any = true;
    if (first != resolved) findings->push_back(CheckPython(name, library));
    first = resolved;
    std::free(resolved);
  }
  if (!any) findings->push_back(Ok("python", "none on PATH; native programs can be traced"));
}

void CheckLeftovers(std::vector<Finding>* findings) {
  int64_t bytes = 0;
  int dead = 0, alive = 0;
  for (const RegionEntry& entry : FindRegions(RegionFolders())) {
    if (entry.status.ok() && entry.alive()) {
      ++alive;
    } else {
      ++dead;
      bytes += entry.file_bytes;
    }
  }
  findings->push_back(Ok("traced", absl::StrFormat("%d living, %d ended (%s; `memtrace clean` "
                                                   "removes them)",
                                                   alive, dead, FormatSize(bytes))));
}

}  // namespace

std::vector<Finding> RunDoctor() {
  std::vector<Finding> findings;
  std::string library;
  CheckLibrary(&findings, &library);
  CheckFolder(&findings);
  CheckKernel(&findings);
  CheckMemoryLimits(&findings);
  CheckSandbox(&findings);
  CheckUnwinding(&findings, library);
  CheckPythons(&findings, library);
  CheckLeftovers(&findings);
  return findings;
}

}  // namespace memtrace
