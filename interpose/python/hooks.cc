#include "interpose/python/hooks.h"

#include <cstddef>

#include "interpose/hooks.h"
#include "interpose/os/os.h"
#include "interpose/python/detect.h"
#include "interpose/python/frames.h"

namespace memtrace::python {
namespace {

// As in CPython's Include/cpython/pymem.h.
struct Allocator {
  void* ctx;
  void* (*malloc)(void*, size_t);
  void* (*calloc)(void*, size_t, size_t);
  void* (*realloc)(void*, void*, size_t);
  void (*free)(void*, void*);
};
enum PyDomain : int { kRaw, kMem, kObj };

using GetAllocator = void (*)(int, Allocator*);
using SetAllocator = void (*)(int, Allocator*);

constinit GetAllocator g_get = nullptr;
constinit SetAllocator g_set = nullptr;

constexpr int kLayers = 3;
// What each layer wraps, by domain (mem, obj). Written before the layer is installed.
constinit Allocator g_inner[kLayers][2] = {};
constinit int g_layers[2] = {};

template <int kLayer, int kWhich>
struct Hook {
  static constexpr Domain kDomain = kWhich == 0 ? Domain::kPythonMem : Domain::kPythonObj;
  static const Allocator& Inner() { return g_inner[kLayer][kWhich]; }

  static void* Malloc(void*, size_t bytes) {
    return RecordedAlloc(bytes, kDomain, 0, [=] { return Inner().malloc(Inner().ctx, bytes); });
  }

  static void* Calloc(void*, size_t count, size_t size) {
    return RecordedAlloc(count * size, kDomain, 0,
                         [=] { return Inner().calloc(Inner().ctx, count, size); });
  }

  static void* Realloc(void*, void* p, size_t bytes) {
    const auto call = [=] { return Inner().realloc(Inner().ctx, p, bytes); };
    if (p == nullptr) return RecordedAlloc(bytes, kDomain, 0, call);
    return RecordedRealloc(p, bytes, kDomain, 0, false, call);
  }

  static void Free(void*, void* p) {
    if (p != nullptr) RecordedFree(p);
    Inner().free(Inner().ctx, p);
  }

  static constexpr Allocator kTable = {nullptr, Malloc, Calloc, Realloc, Free};
};

constexpr Allocator kHooks[kLayers][2] = {
    {Hook<0, 0>::kTable, Hook<0, 1>::kTable},
    {Hook<1, 0>::kTable, Hook<1, 1>::kTable},
    {Hook<2, 0>::kTable, Hook<2, 1>::kTable},
};

// Puts a layer of ours outermost, if it is not there already.
void Wrap(int which) {
  const int domain = which == 0 ? kMem : kObj;
  Allocator now;
  g_get(domain, &now);
  const int layer = g_layers[which];
  if (layer > 0 && now.malloc == kHooks[layer - 1][which].malloc) return;
  if (layer == kLayers) return;
  g_inner[layer][which] = now;
  Allocator ours = kHooks[layer][which];
  g_layers[which] = layer + 1;
  g_set(domain, &ours);
}

}  // namespace

bool Install() {
  g_get = reinterpret_cast<GetAllocator>(os::AnySymbol("PyMem_GetAllocator"));
  g_set = reinterpret_cast<SetAllocator>(os::AnySymbol("PyMem_SetAllocator"));
  if (g_get == nullptr || g_set == nullptr) return false;
  if (!Detect()) return false;
  Wrap(0);
  Wrap(1);
  return true;
}

bool Watch() {
  Wrap(0);
  Wrap(1);
  return g_reader.is_initialized();
}

}  // namespace memtrace::python
