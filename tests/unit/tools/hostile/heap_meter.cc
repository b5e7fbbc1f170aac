#include "tests/unit/tools/hostile/heap_meter.h"

#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {

std::atomic<int64_t> now{0};
std::atomic<int64_t> peak{0};

[[maybe_unused]] void Count(int64_t bytes) {
  const int64_t sum = now.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (sum > peak.load(std::memory_order_relaxed)) peak.store(sum, std::memory_order_relaxed);
}

}  // namespace

namespace memtrace::testing {

int64_t HeapNow() { return now.load(); }
int64_t HeapPeak() { return peak.load(); }
void ResetHeapPeak() { peak.store(now.load()); }

}  // namespace memtrace::testing

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMTRACE_FOREIGN_HEAP
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEMTRACE_FOREIGN_HEAP
#endif
#endif

#ifdef MEMTRACE_FOREIGN_HEAP

bool memtrace::testing::HeapIsMetered() { return false; }

#else

bool memtrace::testing::HeapIsMetered() { return true; }

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t bytes) {
  void* block = __libc_malloc(bytes);
  if (block != nullptr) Count(static_cast<int64_t>(malloc_usable_size(block)));
  return block;
}

void* calloc(size_t count, size_t bytes) {
  void* block = __libc_calloc(count, bytes);
  if (block != nullptr) Count(static_cast<int64_t>(malloc_usable_size(block)));
  return block;
}

// The old block and the new one may both be there for a moment, as they are where it is moved.
void* realloc(void* block, size_t bytes) {
  const auto before = static_cast<int64_t>(block == nullptr ? 0 : malloc_usable_size(block));
  void* moved = __libc_realloc(block, bytes);
  if (moved == nullptr && bytes != 0) return nullptr;
  if (moved != nullptr) Count(static_cast<int64_t>(malloc_usable_size(moved)));
  Count(-before);
  return moved;
}

void* memalign(size_t alignment, size_t bytes) {
  void* block = __libc_memalign(alignment, bytes);
  if (block != nullptr) Count(static_cast<int64_t>(malloc_usable_size(block)));
  return block;
}

void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }

int posix_memalign(void** out, size_t alignment, size_t bytes) {
  *out = memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}

void free(void* block) {
  if (block != nullptr) Count(-static_cast<int64_t>(malloc_usable_size(block)));
  __libc_free(block);
}
}

#endif
