// libc's allocation family. Each function forwards to the next definition of the same name.

#include <errno.h>
#include <string.h>

#include "interpose/hooks.h"
#include "interpose/lifecycle.h"
#include "interpose/modules.h"
#include "interpose/python/hooks.h"
#include "interpose/real.h"

namespace memtrace {
namespace {

inline bool Resolved() { return __builtin_expect(g_real.malloc != nullptr, 1) || ResolveReal(); }

#define MEMTRACE_CALLER reinterpret_cast<uintptr_t>(__builtin_return_address(0))

}  // namespace
}  // namespace memtrace

using namespace memtrace;

MEMTRACE_EXPORT void* malloc(size_t bytes) {
  if (!Resolved()) return EarlyAlloc(bytes);
  return RecordedAllocAt(MallocPlace{MEMTRACE_CALLER}, bytes, [=] { return g_real.malloc(bytes); });
}

MEMTRACE_EXPORT void* calloc(size_t count, size_t size) {
  if (!Resolved()) return EarlyAlloc(count * size);  // the arena is zero
  return RecordedAllocAt(MallocPlace{MEMTRACE_CALLER}, count * size,
                         [=] { return g_real.calloc(count, size); });
}

static void* MoveEarly(void* p, size_t bytes) {
  void* q = malloc(bytes);
  if (q != nullptr) memcpy(q, p, EarlyBytes(p) < bytes ? EarlyBytes(p) : bytes);
  return q;
}

MEMTRACE_EXPORT void* realloc(void* p, size_t bytes) {
  const uintptr_t caller = MEMTRACE_CALLER;
  if (!Resolved() || IsEarly(p)) return p == nullptr ? EarlyAlloc(bytes) : MoveEarly(p, bytes);
  if (p == nullptr) {
    return RecordedAllocAt(MallocPlace{caller}, bytes,
                           [=] { return g_real.realloc(nullptr, bytes); });
  }
  return RecordedReallocAt(MallocPlace{caller}, p, bytes, true,
                           [=] { return g_real.realloc(p, bytes); });
}

MEMTRACE_EXPORT void* reallocarray(void* p, size_t count, size_t size) {
  const uintptr_t caller = MEMTRACE_CALLER;
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  if (!Resolved() || IsEarly(p)) return p == nullptr ? EarlyAlloc(bytes) : MoveEarly(p, bytes);
  const auto call = [=] {
    return g_real.reallocarray != nullptr ? g_real.reallocarray(p, count, size)
                                          : g_real.realloc(p, bytes);
  };
  if (p == nullptr) return RecordedAllocAt(MallocPlace{caller}, bytes, call);
  return RecordedReallocAt(MallocPlace{caller}, p, bytes, true, call);
}

MEMTRACE_EXPORT void free(void* p) {
  if (p == nullptr) return;
  if (__builtin_expect(!Resolved() || IsEarly(p), 0)) return;
  RecordedFree(p);
  g_real.free(p);
}

MEMTRACE_EXPORT void free_sized(void* p, size_t bytes) {
  if (p == nullptr || !Resolved() || IsEarly(p)) return;
  RecordedFree(p);
  g_real.free_sized != nullptr ? g_real.free_sized(p, bytes) : g_real.free(p);
}

MEMTRACE_EXPORT void free_aligned_sized(void* p, size_t alignment, size_t bytes) {
  if (p == nullptr || !Resolved() || IsEarly(p)) return;
  RecordedFree(p);
  g_real.free_aligned_sized != nullptr ? g_real.free_aligned_sized(p, alignment, bytes)
                                       : g_real.free(p);
}

MEMTRACE_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) {
  if (!Resolved()) return nullptr;
  return RecordedAllocAt(MallocPlace{MEMTRACE_CALLER}, bytes,
                         [=] { return g_real.aligned_alloc(alignment, bytes); });
}

MEMTRACE_EXPORT void* memalign(size_t alignment, size_t bytes) {
  if (!Resolved()) return nullptr;
  return RecordedAllocAt(MallocPlace{MEMTRACE_CALLER}, bytes,
                         [=] { return g_real.memalign(alignment, bytes); });
}

MEMTRACE_EXPORT int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (!Resolved()) return ENOMEM;
  int status = 0;
  RecordedAllocAt(MallocPlace{MEMTRACE_CALLER}, bytes, [&]() -> void* {
    status = g_real.posix_memalign(out, alignment, bytes);
    return status == 0 ? *out : nullptr;
  });
  return status;
}

MEMTRACE_EXPORT void* valloc(size_t bytes) {
  if (!Resolved()) return nullptr;
  return RecordedAllocAt(MallocPlace{MEMTRACE_CALLER}, bytes, [=] { return g_real.valloc(bytes); });
}

MEMTRACE_EXPORT void* pvalloc(size_t bytes) {
  if (!Resolved()) return nullptr;
  return RecordedAllocAt(MallocPlace{MEMTRACE_CALLER}, bytes,
                         [=] { return g_real.pvalloc(bytes); });
}

MEMTRACE_EXPORT size_t malloc_usable_size(void* p) {
  if (p == nullptr || !Resolved()) return 0;
  return IsEarly(p) ? EarlyBytes(p) : g_real.malloc_usable_size(p);
}

// The program means its own memory. Ours is reserved and for the most part never touched: it must
// not be filled, which is what locking would do at once.
MEMTRACE_EXPORT int mlockall(int flags) {
  return os::LockAll(flags, /*only_touched=*/g_region.exists());
}

// An address range may come back as another object: what was known of it is of the past.
MEMTRACE_EXPORT int dlclose(void* handle) {
  if (!Resolved() || g_real.dlclose == nullptr) return -1;
  if (IsRecording()) python::Unload();
  const int status = g_real.dlclose(handle);
  if (IsRecording()) {
    ForgetModules();
    g_modules_changed.fetch_add(1, std::memory_order_acq_rel);
  }
  return status;
}
