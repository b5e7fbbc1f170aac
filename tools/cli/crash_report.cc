#include "tools/cli/crash_report.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/stacktrace/safe_dump_to.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace memtrace {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
constexpr size_t kFrames = 128;
constexpr size_t kStackBytes = 64 * 1024;

// Made ready at the start: a crashed process should not have to think about it.
char report_path[512];
alignas(16) char handler_stack[kStackBytes];

void Write(int fd, const char* text) {
  if (write(fd, text, std::strlen(text)) < 0) return;  // nobody left to tell
}

// "path+0x123", which addr2line understands; the plain address where no file is known.
void WriteFrame(int fd, size_t number, const void* address) {
  char line[640];
  Dl_info info;
  if (dladdr(address, &info) != 0 && info.dli_fname != nullptr) {
    const auto offset =
        reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(info.dli_fbase);
    std::snprintf(line, sizeof(line), "%3zu %s+0x%zx %s\n", number, info.dli_fname, offset,
                  info.dli_sname != nullptr ? info.dli_sname : "");
  } else {
    std::snprintf(line, sizeof(line), "%3zu %p\n", number, address);
  }
  Write(fd, line);
}

void OnCrash(int number) {
  signal(number, SIG_DFL);
  alarm(5);  // should the report itself hang
  const void* frames[kFrames] = {};
  const size_t count = boost::stacktrace::safe_dump_to(1, frames, sizeof(frames));
  char line[800];
  std::snprintf(line, sizeof(line), "memtrace " MEMTRACE_VERSION " was ended by signal %d\n",
                number);
  // Not through a link that somebody planted, nor over an existing file.
  const int fd = open(report_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd >= 0) {
    Write(fd, line);
    for (size_t i = 0; i < count && i < kFrames && frames[i] != nullptr; ++i) {
      WriteFrame(fd, i, frames[i]);
    }
    close(fd);
  }
  std::snprintf(line, sizeof(line),
                "memtrace: an error of memtrace itself (signal %d)%s%s; please report it\n", number,
                fd >= 0 ? "; details are in " : "", fd >= 0 ? report_path : "");
  Write(STDERR_FILENO, line);
  raise(number);
}

}  // namespace

void InstallCrashReport() {
  const char* folder = std::getenv("TMPDIR");
  if (folder == nullptr || *folder == '\0') folder = "/tmp";
  std::snprintf(report_path, sizeof(report_path), "%s/memtrace-crash-%d.txt", folder, getpid());
  // Its own stack, so that an overflow of the normal one can be reported too.
  stack_t stack = {};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof(handler_stack);
  sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_handler = OnCrash;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (int number : kSignals) sigaction(number, &action, nullptr);
}

}  // namespace memtrace
