#include "interpose/python/hooks.h"

#include <errno.h>
#include <stdio.h>

#include <atomic>
#include <cstddef>
#include <utility>

#include "interpose/hooks.h"
#include "interpose/lifecycle.h"
#include "interpose/os/os.h"
#include "interpose/python/capture.h"
#include "interpose/python/detect.h"
#include "interpose/python/frames.h"
#include "interpose/python/interpreter.h"
#include "interpose/region.h"
#include "interpose/threads.h"

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
constinit Allocator g_layer[kLayers][2] = {};  // ours
constinit int g_layers[2] = {};
constinit void* g_outermost[2] = {};  // malloc of our outermost layer

// Where an allocation comes from when whole stacks of a known layout are kept: the fast way is part
// of the hook.
__attribute__((noinline, cold)) uint32_t SiteSlowly(Thread* t, Domain domain) {
  const char* tstate = g_reader.slow_site != nullptr ? ThreadState(t) : nullptr;
  if (!MayRead(t, tstate)) return FindSite(t, 0, domain, 0);
  return g_reader.slow_site(t, tstate, WhichOf(domain));
}

template <const Layout& L>
struct LayoutPlace : PythonPlace {
  MEMTRACE_HOT uint32_t Site(Thread* t) const {
    const char* tstate = ThreadState(t);
    const uint32_t site =
        __builtin_expect(tstate == t->known_state, 1) ? FastSite<L>(t, tstate, WhichOf(domain)) : 0;
    return __builtin_expect(site != 0, 1) ? site : SiteSlowly(t, domain);
  }
};

// The same with native stacks.
template <const Layout& L>
struct NativeLayoutPlace : PythonPlace {
  MEMTRACE_HOT uint32_t Site(Thread* t) const {
    const auto caller = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
    const void* hook = __builtin_frame_address(0);
    const char* tstate = ThreadState(t);
    const uint32_t node =
        __builtin_expect(tstate == t->known_state, 1) ? FastNode<L>(t, tstate) : kNoNode;
    return __builtin_expect(node != kNoNode, 1) ? NativeSiteAt(t, node, domain, caller, hook)
                                                : NativeSite(t, domain, caller, hook);
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
  constexpr Allocator kNative[][2] = {{Hook<0, 0, NativeLayoutPlace<kLayouts[I]>>::kTable,
                                       Hook<0, 1, NativeLayoutPlace<kLayouts[I]>>::kTable}...};
  return g_native ? kNative[layout][which] : kTables[layout][which];
}

constexpr Allocator kHooks[kLayers][2] = {
    {Hook<0, 0>::kTable, Hook<0, 1>::kTable},
    {Hook<1, 0>::kTable, Hook<1, 1>::kTable},
    {Hook<2, 0>::kTable, Hook<2, 1>::kTable},
};

constexpr Allocator kNativeHooks[kLayers][2] = {
    {Hook<0, 0, NativePythonPlace>::kTable, Hook<0, 1, NativePythonPlace>::kTable},
    {Hook<1, 0, NativePythonPlace>::kTable, Hook<1, 1, NativePythonPlace>::kTable},
    {Hook<2, 0, NativePythonPlace>::kTable, Hook<2, 1, NativePythonPlace>::kTable},
};

const Allocator& FurtherHook(int layer, int which) {
  return g_native ? kNativeHooks[layer][which] : kHooks[layer][which];
}

// The first layer, made for the interpreter's layout.
Allocator FirstHook(int which) {
  const bool whole = g_region.header()->stack_depth == 0 && g_reader.layout != nullptr;
  if (!whole) return FurtherHook(0, which);
  return ForLayout(which, static_cast<int>(g_reader.layout - kLayouts),
                   std::make_integer_sequence<int, kLayoutCount>{});
}

// Where the interpreter keeps the function that is called first, as far as it can be found: asking
// PyMem_GetAllocator takes a lock from 3.12 on, and then the tables are in _PyRuntime.
constinit void* const* g_place[2] = {};

void* const* FindPlace(void* function) {
  size_t bytes = 0;
  auto* runtime = static_cast<void* const*>(Symbol("_PyRuntime", &bytes));
  for (size_t i = 0; runtime != nullptr && i < bytes / sizeof *runtime; i++) {
    if (runtime[i] == function) return runtime + i;
  }
  return nullptr;
}

bool IsOutermost(int which) {
  return g_place[which] != nullptr && *g_place[which] == g_outermost[which];
}

bool IsSame(const Allocator& a, const Allocator& b) {
  return a.ctx == b.ctx && a.malloc == b.malloc && a.calloc == b.calloc && a.realloc == b.realloc &&
         a.free == b.free;
}

// The layer that is to be outermost over `now`: a new one, or one that wraps the very same thing,
// as when an interpreter is initialised again. kLayers: no more are to be had.
int LayerOver(const Allocator& now, int which) {
  int layer = 0;
  while (layer < g_layers[which] && !IsSame(g_inner[layer][which], now)) layer++;
  if (layer < g_layers[which] || layer == kLayers) return layer;
  g_inner[layer][which] = now;
  g_layer[layer][which] = layer == 0 ? FirstHook(which) : FurtherHook(layer, which);
  g_layers[which] = layer + 1;
  return layer;
}

bool IsOurs(const Allocator& now, int which) {
  for (int layer = 0; layer < g_layers[which]; layer++) {
    if (now.malloc == g_layer[layer][which].malloc) return true;
  }
  return false;
}

// Puts a layer of ours outermost, if there is none already.
void Wrap(int which) {
  const int domain = which == 0 ? kMem : kObj;
  Allocator now;
  g_get(domain, &now);
  if (!IsOurs(now, which)) {
    const int layer = LayerOver(now, which);
    if (layer == kLayers) return;
    now = g_layer[layer][which];
    g_set(domain, &now);
  }
  void* malloc = reinterpret_cast<void*>(now.malloc);
  if (g_outermost[which] == malloc && g_place[which] != nullptr) return;
  g_outermost[which] = malloc;
  g_place[which] = FindPlace(malloc);
}

bool WrapAll() {
  g_get = reinterpret_cast<GetAllocator>(Symbol("PyMem_GetAllocator"));
  g_set = reinterpret_cast<SetAllocator>(Symbol("PyMem_SetAllocator"));
  if (g_get == nullptr || g_set == nullptr) return false;
  if (!Detect()) return false;
  LearnEvaluation();
  Wrap(0);
  Wrap(1);
  return true;
}

// From now on the interpreter's mallocs look.
void StartWatching(Thread* t) {
  g_gate->state.store(Gate::kWatching, std::memory_order_release);
  t->rest = RestingState(t);
}

constinit std::atomic<bool> g_asked{false};

// The interpreter calls it when it has been finalised. Where another thread is to initialise it
// again, ThreadStateSlow makes that one watchful.
void Finalized() {
  g_asked.store(false, std::memory_order_relaxed);
  if (!IsRecording()) return;
  ForgetThreadStates();
  Thread* t = t_thread;
  if (t == nullptr || t->busy != t->rest) return;
  StartWatching(t);
  Leave(t);
}

void AskToBeToldOfTheEnd() {
  const auto at_exit = reinterpret_cast<int (*)(void (*)())>(Symbol("Py_AtExit"));
  if (at_exit != nullptr && !g_asked.exchange(true)) at_exit(&Finalized);
}

void SayAnother(const os::Module& module) {
  static constinit std::atomic<bool> said{false};
  if (said.exchange(true)) return;
  char line[640];
  snprintf(line, sizeof line,
           "a second CPython is in this process (%.400s): the lines of the first one are recorded, "
           "the second one's allocations only as native ones",
           module.path);
  os::Say(line);
}

}  // namespace

bool Install() { return TakeLinked() && WrapAll(); }

__attribute__((noinline)) void Meet(Thread* t, uintptr_t address) {
  const int saved_errno = errno;
  os::Module module;
  const Found found = os::FindModule(address, &module) ? Look(module) : Found::kNothing;
  if (found != Found::kNothing) {
    const Busy busy = t->busy;
    t->busy = Busy::kAllocating;  // what CPython allocates for the hooks is not the program's
    if (found == Found::kAnother) SayAnother(module);
    if (found == Found::kFirst && WrapAll()) StartWatching(t);
    t->busy = busy;
  }
  errno = saved_errno;
}

bool Watch(uintptr_t caller) {
  if (!g_interpreter.Holds(caller)) return false;
  for (int which : {0, 1}) {
    if (!IsOutermost(which)) Wrap(which);
  }
  if (g_reader.is_initialized() == 0) return false;
  AskToBeToldOfTheEnd();
  return true;
}

__attribute__((noinline)) void WatchAgain(Thread* t) {
  if (g_gate->state.load(std::memory_order_relaxed) == Gate::kOpen) StartWatching(t);
  t->rest = RestingState(t);  // another thread has started it
}

void Unload() {
  Thread* t = t_thread;
  const bool idle = t != nullptr && t->busy == t->rest;
  if (idle) t->busy = Busy::kAllocating;  // what the loader allocates is not the program's
  if (!KeepInterpreter()) {
    g_interpreter = {};
    g_reader = {};
  }
  if (idle) Leave(t);
}

}  // namespace memtrace::python
