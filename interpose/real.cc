#include "interpose/real.h"

#include <string.h>

#include <atomic>

#include "interpose/os/os.h"

namespace memtrace {

constinit Real g_real = {};
alignas(16) constinit char g_early[kEarlyArena] = {};

namespace {

constinit std::atomic<bool> g_resolving{false};
constinit std::atomic<size_t> g_early_used{0};
constexpr size_t kEarlyHeader = 16;  // holds the block's size

template <class F>
void Next(const char* name, F* out) {
  *out = reinterpret_cast<F>(os::NextSymbol(name));
}

}  // namespace

bool ResolveReal() {
  if (g_resolving.exchange(true)) return g_real.malloc != nullptr;
  Real real = {};
  Next("calloc", &real.calloc);
  Next("realloc", &real.realloc);
  Next("free", &real.free);
  Next("aligned_alloc", &real.aligned_alloc);
  Next("memalign", &real.memalign);
  Next("posix_memalign", &real.posix_memalign);
  Next("valloc", &real.valloc);
  Next("pvalloc", &real.pvalloc);
  Next("reallocarray", &real.reallocarray);
  Next("malloc_usable_size", &real.malloc_usable_size);
  Next("free_sized", &real.free_sized);
  Next("free_aligned_sized", &real.free_aligned_sized);
  Next("dlclose", &real.dlclose);
  Next("mmap", &real.mmap);
  Next("mmap64", &real.mmap64);
  Next("munmap", &real.munmap);
  Next("mremap", &real.mremap);
  Next("brk", &real.brk);
  Next("sbrk", &real.sbrk);
  Next("malloc", &real.malloc);
  g_real = real;
  return real.malloc != nullptr;
}

void* EarlyAlloc(size_t bytes) {
  const size_t need = (bytes + kEarlyHeader + 15) & ~size_t{15};
  const size_t at = g_early_used.fetch_add(need);
  if (at + need > sizeof g_early) return nullptr;
  memcpy(g_early + at, &bytes, sizeof bytes);
  return g_early + at + kEarlyHeader;
}

size_t EarlyBytes(const void* p) {
  size_t bytes;
  memcpy(&bytes, static_cast<const char*>(p) - kEarlyHeader, sizeof bytes);
  return bytes;
}

}  // namespace memtrace
