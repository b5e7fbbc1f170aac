// Linux: memory, identity, clocks, messages. Files and modules are in linux_files.cc,
// linux_modules.cc.

#include "interpose/os/linux.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "interpose/os/os.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

extern char** environ;

// Weak, so that the library can be loaded by musl, too, which has none of them: it does nothing
// there, but the program would not start if it could not be loaded.
extern "C" const char* gnu_get_libc_version() __attribute__((weak));
extern "C" decltype(dladdr1) dladdr1 __attribute__((weak));

namespace memtrace::os {

bool IsGlibc() { return gnu_get_libc_version != nullptr; }

#ifdef __SANITIZE_THREAD__
// It has to know that memory that comes again is other memory.
void* KernelMap(size_t bytes, int protection, int flags, int fd) {
  return mmap(nullptr, bytes, protection, flags, fd, 0);
}
void KernelUnmap(void* address, size_t bytes) { munmap(address, bytes); }
#else
void* KernelMap(size_t bytes, int protection, int flags, int fd) {
  return reinterpret_cast<void*>(syscall(SYS_mmap, nullptr, bytes, protection, flags, fd, 0L));
}
void KernelUnmap(void* address, size_t bytes) { syscall(SYS_munmap, address, bytes); }
#endif

static void* MapPrivate(size_t bytes) {
  void* p =
      KernelMap(bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  if (p == MAP_FAILED) return nullptr;
  // A huge page would make every sparse table 512 times as large as what is used of it.
  madvise(p, bytes, MADV_NOHUGEPAGE);
  madvise(p, bytes, MADV_DONTDUMP);
  return p;
}

void* Reserve(size_t bytes) { return LimitedReserve(bytes, &MapPrivate); }

void Release(void* memory, size_t bytes) {
  KernelUnmap(memory, bytes);
  CountRelease(bytes);
}

void Discard(void* memory, size_t bytes) { madvise(memory, bytes, MADV_DONTNEED); }

int LockAll(int flags, bool only_touched) {
  const int touched = only_touched && (flags & (MCL_CURRENT | MCL_FUTURE)) != 0 ? MCL_ONFAULT : 0;
  return static_cast<int>(syscall(SYS_mlockall, flags | touched));
}

void* MapWipedInChild() {
  void* p = KernelMap(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (p == MAP_FAILED) return nullptr;
  madvise(p, 4096, MADV_WIPEONFORK);  // before Linux 4.14 the fork handler alone has to do
  return p;
}

void WipeInChild(void* page) { madvise(page, 4096, MADV_WIPEONFORK); }

// glibc's thread descriptor holds the first 32 keys' values in place, each after a sequence number.
// Found by what is put there; another libc keeps them elsewhere, and then nothing is found.
int FindSpecific() {
#if defined(__x86_64__) && defined(__GLIBC__)
  constexpr int kSearch = 2048;  // bytes of the descriptor, which is larger
  pthread_key_t keys[2];
  if (pthread_key_create(&keys[0], nullptr) != 0) return 0;
  if (pthread_key_create(&keys[1], nullptr) != 0) {
    pthread_key_delete(keys[0]);
    return 0;
  }
  const char* self = static_cast<const char*>(__builtin_thread_pointer());
  int found = 0;
  for (int at = 0; at < kSearch && keys[1] == keys[0] + 1 && keys[1] < kSpecificKeys; at += 8) {
    const void* marks[] = {&keys[0], &keys[1]};
    const void* there[2];
    pthread_setspecific(keys[0], marks[0]);
    pthread_setspecific(keys[1], marks[1]);
    memcpy(&there[0], self + at, sizeof there[0]);
    memcpy(&there[1], self + at + kSpecificStride, sizeof there[1]);
    if (there[0] != marks[0] || there[1] != marks[1]) continue;
    // Not a coincidence: it follows what is set.
    pthread_setspecific(keys[0], self);
    memcpy(&there[0], self + at, sizeof there[0]);
    if (there[0] == self) found = at - static_cast<int>(keys[0]) * kSpecificStride;
    break;
  }
  pthread_key_delete(keys[0]);
  pthread_key_delete(keys[1]);
  return found;
#else
  return 0;
#endif
}

void Yield() { sched_yield(); }

void Nap() {
  const timespec time{0, 100000};
  syscall(SYS_nanosleep, &time, nullptr);  // libc's is a point where a thread may be cancelled
}

// By the kernel's call: libc's leaves out the signal that cancels threads.
SignalSet BlockSignals() {
  const SignalSet all = ~SignalSet{0};
  SignalSet before = 0;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &before, sizeof all);
  return before;
}

void RestoreSignals(SignalSet before) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
}

uint64_t PageBytes() { return getauxval(AT_PAGESZ); }

int ProcessId() { return static_cast<int>(syscall(SYS_getpid)); }
int ParentProcessId() { return static_cast<int>(syscall(SYS_getppid)); }
uint32_t UserId() { return static_cast<uint32_t>(syscall(SYS_geteuid)); }
int ThreadId() { return static_cast<int>(syscall(SYS_gettid)); }

bool ThreadAlive(int tid) { return syscall(SYS_tgkill, ProcessId(), tid, 0) == 0; }

void ThreadName(char* out, size_t bytes) {
  char name[16] = {};
  prctl(PR_GET_NAME, name);
  snprintf(out, bytes, "%s", name);
}

// In the text of /proc/PID/stat; 0: not there.
static uint64_t StartField(char* text) {
  const char* p = strrchr(text, ')');  // the command's name may hold blanks and parentheses
  if (p == nullptr) return 0;
  for (int field = 2; field < 22; field++) {
    p = strchr(p, ' ');
    if (p == nullptr) return 0;
    p++;
    if (field == 2 && (*p == 'Z' || *p == 'X')) return 0;
  }
  return strtoull(p, nullptr, 10);
}

static uint64_t StartIn(const char* path) {
  char text[1024];
  const size_t n = ReadFile(path, text, sizeof text - 1);
  text[n] = 0;
  return StartField(text);
}

uint64_t ProcessStart() { return StartIn("/proc/self/stat"); }

uint64_t ProcessStartOf(int pid) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  return StartIn(path);
}

uint32_t PidNamespace() {
  char text[64];
  const size_t n = ReadLink("/proc/self/ns/pid", text, sizeof text - 1);
  text[n] = 0;
  const char* number = strchr(text, '[');  // pid:[4026531836]
  return number != nullptr ? static_cast<uint32_t>(strtoul(number + 1, nullptr, 10)) : 0;
}

static uint64_t Nanos(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000000000u + static_cast<uint64_t>(t.tv_nsec);
}

uint64_t BootNanos() { return Nanos(CLOCK_BOOTTIME); }
uint64_t CoarseNanos() { return Nanos(CLOCK_MONOTONIC_COARSE); }
uint64_t RealNanos() { return Nanos(CLOCK_REALTIME); }

bool SafeRead(const void* from, void* to, size_t bytes) {
  iovec local{to, bytes};
  iovec remote{const_cast<void*>(from), bytes};
  return syscall(SYS_process_vm_readv, ProcessId(), &local, 1UL, &remote, 1UL, 0UL) ==
         static_cast<long>(bytes);
}

// A name that is not there must not be left for the host's own dlerror() to find; asked twice, it
// also gives the text's memory back.
static void* OrNothing(void* found) {
  if (found == nullptr) {
    dlerror();
    dlerror();
  }
  return found;
}

void* NextSymbol(const char* name) { return OrNothing(dlsym(RTLD_NEXT, name)); }
void* AnySymbol(const char* name) { return OrNothing(dlsym(RTLD_DEFAULT, name)); }

// getenv() without libc's lock and before libc is initialised.
const char* Environment(const char* name) {
  const size_t n = strlen(name);
  for (char** e = environ; e != nullptr && *e != nullptr; e++) {
    if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') return *e + n + 1;
  }
  return nullptr;
}

bool IsSet(const char* name) {
  const char* text = Environment(name);
  return text != nullptr && *text != 0 && strcmp(text, "0") != 0;
}

void Say(const char* text) {
  if (Environment("MEMTRACE_QUIET") != nullptr) return;
  char line[768];
  const int n = snprintf(line, sizeof line, "memtrace: %s\n", text);
  if (n <= 0) return;
  const size_t bytes =
      static_cast<size_t>(n) < sizeof line ? static_cast<size_t>(n) : sizeof line - 1;
  if (syscall(SYS_write, 2, line, bytes) < 0) return;
}

}  // namespace memtrace::os
