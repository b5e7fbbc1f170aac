#include "tools/read/fault_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

namespace memtrace {
namespace {

constexpr int kGuards = 1024;

struct Guard {
  std::atomic<uintptr_t> begin;  // 0: free
  std::atomic<uintptr_t> end;
  std::atomic<bool> tripped;
};

constinit Guard guards[kGuards];
constinit struct sigaction previous_action = {};
uintptr_t page_bytes = 4096;

void PassOn(int signal, siginfo_t* info, void* context) {
  if (previous_action.sa_flags & SA_SIGINFO) {
    previous_action.sa_sigaction(signal, info, context);
  } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
    previous_action.sa_handler(signal);
  } else {
    ::signal(signal, SIG_DFL);  // returning runs into the same fault, which now kills
  }
}

void OnBusError(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Guard& guard : guards) {
    const uintptr_t begin = guard.begin.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address >= guard.end.load(std::memory_order_acquire)) {
      continue;
    }
    void* page = reinterpret_cast<void*>(address & ~(page_bytes - 1));
    if (mmap(page, page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
        MAP_FAILED) {
      break;
    }
    guard.tripped.store(true, std::memory_order_release);
    errno = saved_errno;
    return;
  }
  PassOn(signal, info, context);
}

void InstallHandler() {
  page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action = {};
  action.sa_sigaction = OnBusError;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous_action);
}

}  // namespace

int GuardRange(const void* begin, size_t size) {
  static std::once_flag once;
  std::call_once(once, InstallHandler);
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  for (int i = 0; i < kGuards; ++i) {
    if (guards[i].begin.load(std::memory_order_acquire) != 0) continue;
    guards[i].tripped.store(false, std::memory_order_relaxed);
    guards[i].end.store(reinterpret_cast<uintptr_t>(begin) + size, std::memory_order_release);
    guards[i].begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
    return i;
  }
  return -1;
}

void UnguardRange(int guard) {
  if (guard >= 0) guards[guard].begin.store(0, std::memory_order_release);
}

bool GuardTripped(int guard) {
  return guard >= 0 && guards[guard].tripped.load(std::memory_order_acquire);
}

}  // namespace memtrace
