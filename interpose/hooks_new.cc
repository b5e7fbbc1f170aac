// operator new and delete, so that a C++ allocation is told by who wrote `new`, not by libstdc++.
// Each forwards to the next definition; the malloc inside it is part of the same block.

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#include "interpose/hooks.h"
#include "interpose/os/os.h"
#include "interpose/real.h"

namespace memtrace {
namespace {

// The definition that would be used without us. An extension module's C++ library may have been
// loaded privately by dlopen, where the search order does not reach: then it is asked by name.
void* Find(const char* name) {
  if (void* next = os::NextSymbol(name)) return next;
  for (const char* library : {"libstdc++.so.6", "libc++.so.1"}) {
    if (void* handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD)) {
      void* found = dlsym(handle, name);
      g_real.dlclose(handle);
      if (found != nullptr) return found;
    }
  }
  return nullptr;
}

// Whether the real operator is a C++ library's own, which only calls malloc or free, or the plain
// operator that does, and these are ours: then we may call what comes after ours at once. A program
// may replace any of them, and be told of new[] by its own operator new.
bool OnlyForwards(const void* f) {
  os::Module own, module;
  const auto at = [](const void* p) { return reinterpret_cast<uintptr_t>(p); };
  if (f == nullptr || !os::FindModule(at(reinterpret_cast<const void*>(&Find)), &own)) return false;
  for (const char* name : {"malloc", "free", "_Znwm", "_ZdlPv"}) {
    if (!os::FindModule(at(os::AnySymbol(name)), &module) || module.start != own.start) {
      return false;
    }
  }
  if (!os::FindModule(at(f), &module)) return false;
  const char* slash = strrchr(module.path, '/');
  const char* file = slash != nullptr ? slash + 1 : module.path;
  return strncmp(file, "libstdc++.so", 12) == 0 || strncmp(file, "libc++", 6) == 0;
}

// A function found on first use. Several threads may look at once: they find the same.
template <class F>
class Lazy {
 public:
  constexpr explicit Lazy(const char* name) : name_(name) {}
  F get() {
    F f = found_.load(std::memory_order_acquire);
    if (__builtin_expect(f != nullptr, 1)) return f;
    if (g_real.malloc == nullptr) ResolveReal();
    // What the loader allocates to search is not the program's.
    Thread* t = Enter();
    if (t != nullptr) t->busy = Busy::kAllocating;
    f = reinterpret_cast<F>(Find(name_));
    if (OnlyForwards(reinterpret_cast<const void*>(f))) {
      forwards_.store(true, std::memory_order_relaxed);
    }
    if (t != nullptr) Leave(t);
    found_.store(f, std::memory_order_release);
    return f;
  }
  // Known after the first get().
  bool only_forwards() const { return forwards_.load(std::memory_order_relaxed); }

 private:
  const char* name_;
  std::atomic<F> found_{nullptr};
  std::atomic<bool> forwards_{false};
};

// Notes who wrote `new` and what for, and calls the real operator, whose malloc takes the note.
//
// Nothing may be left to clean up here: an exception that passes would need an unwinder of ours in
// the middle of the program's. So the thread is not busy meanwhile, and a note that was not taken
// (an allocator whose operator new does not go through malloc) is recorded afterwards.
template <class Call>
inline void* RecordedNew(size_t bytes, size_t alignment, uintptr_t caller, Call&& call) {
  Thread* t = t_thread;
  if (__builtin_expect(t == nullptr || t->busy != Busy::kIdle, 0)) {
    const bool within = t != nullptr && t->busy != Busy::kClosed && t->busy != Busy::kWatchful;
    if (within) return call();  // malloc's hook counts the loss
    t = Enter(caller);
    if (t == nullptr) return call();
    Leave(t);
  }
  const char* frame = static_cast<const char*>(__builtin_frame_address(0));
  if (HasNewNote(t, frame) && t->new_bytes == bytes) return call();  // one operator calls another
  t->new_caller = caller;
  t->new_bytes = bytes;
  t->new_padding = alignment;
  t->new_frame = frame;
  void* p = call();
  if (__builtin_expect(t->new_caller == 0, 1)) return p;
  t->new_caller = 0;
  return RecordedAllocAt(MallocPlace{caller}, bytes, [p] { return p; });
}

using Align = std::align_val_t;
using NoThrow = const std::nothrow_t&;

// Where no C++ library can be found at all, nobody can throw or catch std::bad_alloc either.
void* Fallback(size_t bytes, size_t alignment = 0) {
  if (bytes == 0) bytes = 1;
  void* p = alignment == 0 ? malloc(bytes) : memalign(alignment, bytes);
  if (p == nullptr) abort();
  return p;
}

}  // namespace
}  // namespace memtrace

using namespace memtrace;

#define MEMTRACE_CALLER reinterpret_cast<uintptr_t>(__builtin_return_address(0))

// One definition for each way of writing `new`. `name` is its mangled name.
//
// The plain forms, when there is only malloc behind them, are one event; when that malloc fails,
// the real operator knows what to do.
#define MEMTRACE_NEW_PLAIN(name)                                                        \
  namespace {                                                                           \
  constinit Lazy<void* (*)(size_t)> g_##name{#name};                                    \
  }                                                                                     \
  MEMTRACE_EXPORT void* name(size_t bytes) {                                            \
    if (__builtin_expect(g_##name.only_forwards(), 1)) {                                \
      void* p = RecordedAllocAt(MallocPlace{MEMTRACE_CALLER}, bytes,                    \
                                [=] { return g_real.malloc(bytes == 0 ? 1 : bytes); }); \
      if (__builtin_expect(p != nullptr, 1)) return p;                                  \
    }                                                                                   \
    const auto next = g_##name.get();                                                   \
    return RecordedNew(bytes, 1, MEMTRACE_CALLER, [&]() -> void* {                      \
      return next != nullptr ? next(bytes) : Fallback(bytes);                           \
    });                                                                                 \
  }

#define MEMTRACE_NEW(name, type, alignment, parameters, arguments, fallback)                    \
  namespace {                                                                                   \
  constinit Lazy<type> g_##name{#name};                                                         \
  }                                                                                             \
  MEMTRACE_EXPORT void* name parameters {                                                       \
    const auto next = g_##name.get();                                                           \
    return RecordedNew(bytes, alignment, MEMTRACE_CALLER,                                       \
                       [&]() -> void* { return next != nullptr ? next arguments : fallback; }); \
  }

MEMTRACE_NEW_PLAIN(_Znwm)
MEMTRACE_NEW_PLAIN(_Znam)
MEMTRACE_NEW(_ZnwmRKSt9nothrow_t, void* (*)(size_t, NoThrow), 1, (size_t bytes, NoThrow tag),
             (bytes, tag), malloc(bytes == 0 ? 1 : bytes))
MEMTRACE_NEW(_ZnamRKSt9nothrow_t, void* (*)(size_t, NoThrow), 1, (size_t bytes, NoThrow tag),
             (bytes, tag), malloc(bytes == 0 ? 1 : bytes))
MEMTRACE_NEW(_ZnwmSt11align_val_t, void* (*)(size_t, Align), static_cast<size_t>(align),
             (size_t bytes, Align align), (bytes, align),
             Fallback(bytes, static_cast<size_t>(align)))
MEMTRACE_NEW(_ZnamSt11align_val_t, void* (*)(size_t, Align), static_cast<size_t>(align),
             (size_t bytes, Align align), (bytes, align),
             Fallback(bytes, static_cast<size_t>(align)))
MEMTRACE_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, void* (*)(size_t, Align, NoThrow),
             static_cast<size_t>(align), (size_t bytes, Align align, NoThrow tag),
             (bytes, align, tag), memalign(static_cast<size_t>(align), bytes))
MEMTRACE_NEW(_ZnamSt11align_val_tRKSt9nothrow_t, void* (*)(size_t, Align, NoThrow),
             static_cast<size_t>(align), (size_t bytes, Align align, NoThrow tag),
             (bytes, align, tag), memalign(static_cast<size_t>(align), bytes))

#define MEMTRACE_DELETE(name, type, parameters, arguments) \
  namespace {                                              \
  constinit Lazy<type> g_##name{#name};                    \
  }                                                        \
  MEMTRACE_EXPORT void name parameters {                   \
    if (p == nullptr) return;                              \
    RecordedFree(p);                                       \
    if (g_##name.only_forwards() && !IsEarly(p)) {         \
      g_real.free(p);                                      \
      return;                                              \
    }                                                      \
    const auto next = g_##name.get();                      \
    next != nullptr ? next arguments : g_real.free(p);     \
  }

MEMTRACE_DELETE(_ZdlPv, void (*)(void*), (void* p), (p))
MEMTRACE_DELETE(_ZdaPv, void (*)(void*), (void* p), (p))
MEMTRACE_DELETE(_ZdlPvm, void (*)(void*, size_t), (void* p, size_t n), (p, n))
MEMTRACE_DELETE(_ZdaPvm, void (*)(void*, size_t), (void* p, size_t n), (p, n))
MEMTRACE_DELETE(_ZdlPvRKSt9nothrow_t, void (*)(void*, NoThrow), (void* p, NoThrow t), (p, t))
MEMTRACE_DELETE(_ZdaPvRKSt9nothrow_t, void (*)(void*, NoThrow), (void* p, NoThrow t), (p, t))
MEMTRACE_DELETE(_ZdlPvSt11align_val_t, void (*)(void*, Align), (void* p, Align a), (p, a))
MEMTRACE_DELETE(_ZdaPvSt11align_val_t, void (*)(void*, Align), (void* p, Align a), (p, a))
MEMTRACE_DELETE(_ZdlPvmSt11align_val_t, void (*)(void*, size_t, Align),
                (void* p, size_t n, Align a), (p, n, a))
MEMTRACE_DELETE(_ZdaPvmSt11align_val_t, void (*)(void*, size_t, Align),
                (void* p, size_t n, Align a), (p, n, a))
MEMTRACE_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, void (*)(void*, Align, NoThrow),
                (void* p, Align a, NoThrow t), (p, a, t))
MEMTRACE_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, void (*)(void*, Align, NoThrow),
                (void* p, Align a, NoThrow t), (p, a, t))
