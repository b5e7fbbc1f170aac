// Mappings that the program makes itself. Each function forwards to the next definition of the same
// name; what libc maps for itself does not come here.

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interpose/hooks.h"
#include "interpose/mappings.h"
#include "interpose/os/os.h"
#include "interpose/real.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

namespace memtrace {
namespace {

// While the real functions are being looked up there is the kernel: the last two are not needed
// then.
bool Resolved() { return __builtin_expect(g_real.malloc != nullptr, 1) || ResolveReal(); }

#define MEMTRACE_CALL \
  HookCall { reinterpret_cast<uintptr_t>(__builtin_return_address(0)), __builtin_frame_address(0) }

void* KernelMmap(void* address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, fd, offset));
}

void* Mapped(const HookCall& call, void* p, size_t bytes, int flags) {
  if (p == MAP_FAILED) return p;
  RecordMap(call, p, bytes, (flags & MAP_ANONYMOUS) != 0 ? Domain::kMmap : Domain::kMmapFile);
  return p;
}

// The break has moved: whole pages between the two.
void Broken(const HookCall& call, const char* before, const char* now, uint64_t age) {
  const uint64_t mask = os::PageBytes() - 1;
  const uint64_t from = (reinterpret_cast<uint64_t>(before) + mask) & ~mask;
  const uint64_t to = (reinterpret_cast<uint64_t>(now) + mask) & ~mask;
  if (to > from) {
    RecordMap(call, reinterpret_cast<void*>(from), to - from, Domain::kMmap);
  } else if (to < from) {
    RecordUnmap(call, reinterpret_cast<void*>(to), from - to, age);
  }
}

}  // namespace
}  // namespace memtrace

using namespace memtrace;

MEMTRACE_EXPORT void* mmap(void* address, size_t bytes, int protection, int flags, int fd,
                           off_t offset) noexcept {
  auto* real = Resolved() ? g_real.mmap : &KernelMmap;
  return Mapped(MEMTRACE_CALL, real(address, bytes, protection, flags, fd, offset), bytes, flags);
}

MEMTRACE_EXPORT void* mmap64(void* address, size_t bytes, int protection, int flags, int fd,
                             off_t offset) noexcept {
  auto* real = Resolved() && g_real.mmap64 != nullptr ? g_real.mmap64 : &KernelMmap;
  return Mapped(MEMTRACE_CALL, real(address, bytes, protection, flags, fd, offset), bytes, flags);
}

MEMTRACE_EXPORT int munmap(void* address, size_t bytes) noexcept {
  const uint64_t age = MappingAge();
  const int status = Resolved() ? g_real.munmap(address, bytes)
                                : static_cast<int>(syscall(SYS_munmap, address, bytes));
  if (status == 0) RecordUnmap(MEMTRACE_CALL, address, bytes, age);
  return status;
}

MEMTRACE_EXPORT void* mremap(void* old, size_t old_bytes, size_t bytes, int flags, ...) noexcept {
  va_list rest;
  va_start(rest, flags);
  void* const wanted = va_arg(rest, void*);  // means something with some flags only
  va_end(rest);
  const Remapping remapping = BeginRemap(MEMTRACE_CALL, old);
  void* p =
      Resolved()
          ? g_real.mremap(old, old_bytes, bytes, flags, wanted)
          : reinterpret_cast<void*>(syscall(SYS_mremap, old, old_bytes, bytes, flags, wanted));
  if (p == MAP_FAILED) return p;
  const bool stays = (flags & MREMAP_DONTUNMAP) != 0;
  RecordRemap(MEMTRACE_CALL, remapping, old, stays ? 0 : old_bytes, p, bytes);
  return p;
}

MEMTRACE_EXPORT int brk(void* address) noexcept {
  if (!Resolved()) {
    errno = ENOMEM;
    return -1;
  }
  const uint64_t age = MappingAge();
  const auto* before = static_cast<const char*>(g_real.sbrk(0));
  const int status = g_real.brk(address);
  if (status == 0) Broken(MEMTRACE_CALL, before, static_cast<const char*>(address), age);
  return status;
}

MEMTRACE_EXPORT void* sbrk(intptr_t bytes) noexcept {
  if (!Resolved()) {
    errno = ENOMEM;
    return reinterpret_cast<void*>(-1);
  }
  const uint64_t age = MappingAge();
  void* before = g_real.sbrk(bytes);
  if (before == reinterpret_cast<void*>(-1) || bytes == 0) return before;
  const auto* from = static_cast<const char*>(before);
  Broken(MEMTRACE_CALL, from, from + bytes, age);
  return before;
}
