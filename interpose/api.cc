// The C interface (memtrace.h) over the running recorder.

#define MEMTRACE_BUILDING_LIBRARY
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interpose/api_error.h"
#include "interpose/cells.h"
#include "interpose/lifecycle.h"
#include "interpose/memtrace.h"
#include "interpose/os/os.h"
#include "interpose/recorder.h"
#include "interpose/site_tree.h"

extern char** environ;

namespace memtrace {

static thread_local constinit char t_error[512] __attribute__((tls_model("initial-exec"))) = {};

void ClearError() { t_error[0] = 0; }

int Fail(int error, const char* format, const char* what) {
  snprintf(t_error, sizeof t_error, format, what);
  return error;
}

int NotTracing() {
  return Fail(ENOTSUP, "%s",
              "this process is not traced: start it with `memtrace run PROGRAM` or "
              "LD_PRELOAD=libmemtrace.so");
}

namespace {

// Sums f(figures) over all cells but those of mappings. Other threads may go on meanwhile.
template <class F>
int64_t SumCells(F&& f) {
  int64_t sum = 0;
  EachCell([&](uint32_t site, const CellFigures& figures) {
    const int64_t part = f(figures);
    if (part != 0 && !IsAddressSpace(DomainOf(site))) sum += part;
  });
  return sum;
}

int64_t LiveBytes(const CellFigures& cell) { return cell.live_bytes; }

// -------------------------------------------------------------------------------------------------
// The tool beside the library

bool FindTool(char* out, size_t bytes) {
  const char* set = os::Environment("MEMTRACE_TOOL");
  if (set != nullptr && *set != 0) {
    snprintf(out, bytes, "%s", set);
    return access(out, X_OK) == 0;
  }
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&FindTool), &info) == 0) return false;
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s", info.dli_fname);
  char* slash = strrchr(folder, '/');
  if (slash == nullptr) return false;
  *slash = 0;
  // Build tree; then install trees: lib/memtrace, lib/<system>/memtrace, and a Python package's:
  // lib/python3.X/site-packages/memtrace.
  for (const char* place : {"memtrace", "../../bin/memtrace", "../../../bin/memtrace",
                            "../bin/memtrace", "../../../../bin/memtrace"}) {
    snprintf(out, bytes, "%s/%s", folder, place);
    struct stat info;
    if (stat(out, &info) == 0 && S_ISREG(info.st_mode) && access(out, X_OK) == 0) return true;
  }
  return false;
}

bool IsOurs(const char* variable) {
  return strncmp(variable, "LD_PRELOAD=", 11) == 0 ||
         strncmp(variable, "MEMTRACE_DISABLE=", 17) == 0;
}

// The environment without the preload: the tool must not trace itself. To be released.
char** ToolEnvironment(size_t* bytes) {
  size_t n = 0;
  while (environ[n] != nullptr) n++;
  *bytes = (n + 1) * sizeof(char*);
  auto** copy = static_cast<char**>(os::Reserve(*bytes));
  if (copy == nullptr) return nullptr;
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (!IsOurs(environ[i])) copy[kept++] = environ[i];
  }
  return copy;
}

int WaitFor(pid_t pid, const char* tool) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno == ECHILD) return 0;  // the program reaps its children itself
    if (errno != EINTR) return Fail(errno, "waiting for %.400s failed", tool);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  return Fail(EIO, "%.400s could not write the snapshot; its message is on standard error", tool);
}

int RunTool(const char* tool, const char* path) {
  char pid[16];
  snprintf(pid, sizeof pid, "%d", os::ProcessId());
  const char* arguments[] = {tool,      "snapshot", g_region.path()[0] != 0 ? g_region.path() : pid,
                             "-o",      path,       "-f",
                             "--quiet", nullptr};
  size_t bytes = 0;
  char** environment = ToolEnvironment(&bytes);
  if (environment == nullptr) return Fail(ENOMEM, "%.400s: no memory to start it", tool);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, tool, nullptr, nullptr, const_cast<char**>(arguments), environment);
  os::Release(environment, bytes);
  if (error != 0) return Fail(error, "%.400s could not be started", tool);
  return WaitFor(child, tool);
}

}  // namespace
}  // namespace memtrace

using namespace memtrace;

int memtrace_is_tracing(void) { return IsRecording() ? 1 : 0; }

int64_t memtrace_current_bytes(void) { return IsRecording() ? SumCells(LiveBytes) : -1; }

int64_t memtrace_current_blocks(void) {
  if (!IsRecording()) return -1;
  return SumCells([](const CellFigures& cell) { return cell.live_objects; });
}

int64_t memtrace_peak_bytes(void) {
  if (!IsRecording()) return -1;
  const Header* h = g_region.header();
  const int64_t live = SumCells(LiveBytes);
  if (TotalNow() > h->peak.load(std::memory_order_relaxed)) return live;
  const uint32_t epoch = h->peak_epoch.load(std::memory_order_relaxed);
  const int64_t peak = SumCells([epoch](const CellFigures& cell) {
    return cell.epoch == epoch ? cell.saved_bytes : cell.live_bytes;
  });
  return peak > live ? peak : live;  // with threads the peak has a bound: never below what is there
}

int memtrace_reset_peak(void) {
  ClearError();
  if (!IsRecording()) return NotTracing();
  Header* h = g_region.header();
  const uint64_t now = os::BootNanos();
  const int64_t total = TotalNow();
  h->peak.store(total, std::memory_order_relaxed);
  h->peak_trigger.store(total + g_peak_slack.load(std::memory_order_relaxed),
                        std::memory_order_relaxed);
  h->peak_epoch.fetch_add(1, std::memory_order_relaxed);
  h->peak_boot_ns.store(now, std::memory_order_relaxed);
  h->peak_reset_ns.store(now, std::memory_order_relaxed);
  return 0;
}

int memtrace_snapshot(const char* path) {
  ClearError();
  if (!IsRecording()) return NotTracing();
  if (path == nullptr || *path == 0) return Fail(EINVAL, "%s", "no file name given");
  char tool[PATH_MAX];
  if (!FindTool(tool, sizeof tool)) {
    return Fail(ENOENT, "%s",
                "the memtrace tool is not beside the library: set MEMTRACE_TOOL to its path");
  }
  return RunTool(tool, path);
}

const char* memtrace_last_error(void) { return t_error; }

const char* memtrace_region_path(void) { return IsRecording() ? g_region.path() : ""; }

const char* memtrace_version(void) { return MEMTRACE_VERSION; }
