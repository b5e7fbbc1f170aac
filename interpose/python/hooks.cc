#include "interpose/python/hooks.h"

#include <cstddef>
#include <utility>

#include "interpose/hooks.h"
#include "interpose/os/os.h"
#include "interpose/python/capture.h"
#include "interpose/python/detect.h"
#include "interpose/python/frames.h"
#include "interpose/region.h"

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
constinit Allocator g_outermost[2] = {};  // ours

// Where an allocation comes from when whole stacks of a known layout are kept: the fast way is part
// of the hook.
__attribute__((noinline, cold)) uint32_t SiteSlowly(Thread* t, Domain domain) {
  const char* tstate = g_reader.slow_site != nullptr ? ThreadState(t) : nullptr;
  if (tstate == nullptr) return FindSite(t, 0, domain, 0);
  return g_reader.slow_site(t, tstate, WhichOf(domain));
}

template <const Layout& L>
struct LayoutPlace : PythonPlace {
  MEMTRACE_HOT uint32_t Site(Thread* t) const {
    const char* tstate = ThreadState(t);
    const uint32_t site =
        __builtin_expect(tstate != nullptr, 1) ? FastSite<L>(t, tstate, WhichOf(domain)) : 0;
    return __builtin_expect(site != 0, 1) ? site : SiteSlowly(t, domain);
  }
};

template <int kLayer, int kWhich, class Place = PythonPlace>
struct Hook {
  static constexpr Domain kDomain = kWhich == 0 ? Domain::kPythonMem : Domain::kPythonObj;
  static const Allocator& Inner() { return g_inner[kLayer][kWhich]; }

  static void* Malloc(void*, size_t bytes) {
    return RecordedAllocAt(Place{{kDomain}}, bytes,
                           [=] { return Inner().malloc(Inner().ctx, bytes); });
  }

  static void* Calloc(void*, size_t count, size_t size) {
    return RecordedAllocAt(Place{{kDomain}}, count * size,
                           [=] { return Inner().calloc(Inner().ctx, count, size); });
  }

  static void* Realloc(void*, void* p, size_t bytes) {
    const auto call = [=] { return Inner().realloc(Inner().ctx, p, bytes); };
    if (p == nullptr) return RecordedAllocAt(Place{{kDomain}}, bytes, call);
    return RecordedReallocAt(Place{{kDomain}}, p, bytes, false, call);
  }

  static void Free(void*, void* p) {
    if (p != nullptr) RecordedFree(p);
    Inner().free(Inner().ctx, p);
  }

  static constexpr Allocator kTable = {nullptr, Malloc, Calloc, Realloc, Free};
};

template <int... I>
Allocator ForLayout(int which, int layout, std::integer_sequence<int, I...>) {
  constexpr Allocator kTables[][2] = {{Hook<0, 0, LayoutPlace<kLayouts[I]>>::kTable,
                                       Hook<0, 1, LayoutPlace<kLayouts[I]>>::kTable}...};
  return kTables[layout][which];
}

constexpr Allocator kHooks[kLayers][2] = {
    {Hook<0, 0>::kTable, Hook<0, 1>::kTable},
    {Hook<1, 0>::kTable, Hook<1, 1>::kTable},
    {Hook<2, 0>::kTable, Hook<2, 1>::kTable},
};

// The first layer, made for the interpreter's layout.
Allocator FirstHook(int which) {
  const bool whole = g_region.header()->stack_depth == 0 && g_reader.layout != nullptr;
  if (!whole) return kHooks[0][which];
  return ForLayout(which, static_cast<int>(g_reader.layout - kLayouts),
                   std::make_integer_sequence<int, kLayoutCount>{});
}

// Where the interpreter keeps the function that is called first, as far as it can be found: asking
// PyMem_GetAllocator takes a lock from 3.12 on, and then the tables are in _PyRuntime.
constinit void* const* g_place[2] = {};

void* const* FindPlace(void* function) {
  auto* runtime = static_cast<void* const*>(os::AnySymbol("_PyRuntime"));
  const size_t words = runtime != nullptr ? os::SymbolBytes(runtime) / sizeof *runtime : 0;
  for (size_t i = 0; i < words; i++) {
    if (runtime[i] == function) return runtime + i;
  }
  return nullptr;
}

bool IsOutermost(int which) {
  return g_place[which] != nullptr &&
         *g_place[which] == reinterpret_cast<void*>(g_outermost[which].malloc);
}

// Puts a layer of ours outermost, if it is not there already.
void Wrap(int which) {
  const int domain = which == 0 ? kMem : kObj;
  Allocator now;
  g_get(domain, &now);
  const int layer = g_layers[which];
  if (layer > 0 && now.malloc == g_outermost[which].malloc) return;
  if (layer == kLayers) return;
  g_inner[layer][which] = now;
  Allocator ours = layer == 0 ? FirstHook(which) : kHooks[layer][which];
  g_outermost[which] = ours;
  g_layers[which] = layer + 1;
  g_set(domain, &ours);
  g_place[which] = FindPlace(reinterpret_cast<void*>(ours.malloc));
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
  for (int which : {0, 1}) {
    if (!IsOutermost(which)) Wrap(which);
  }
  return g_reader.is_initialized();
}

}  // namespace memtrace::python
