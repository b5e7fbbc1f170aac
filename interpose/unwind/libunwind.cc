// libunwind's cached backtrace.
//
// The library is opened privately and only when it is wanted: preloading it would put its
// `backtrace` and `_Unwind_*` in front of the host's own.
//
// What its backtrace has found out of an address it never forgets, so it is used until the program
// unloads a module for the first time: another one may come to lie there. From then on the stack is
// unwound step by step, which takes longer, and what libunwind knows is dropped at each unloading.

#include <dlfcn.h>

#include <atomic>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "interpose/region.h"
#include "interpose/unwind/room.h"
#include "interpose/unwind/unwind.h"

namespace memtrace::unwind {
namespace {

struct Functions {
  int (*backtrace)(void**, int);
  int (*get_context)(unw_context_t*);
  int (*begin)(unw_cursor_t*, unw_context_t*);
  int (*step)(unw_cursor_t*);
  int (*get_register)(unw_cursor_t*, int, unw_word_t*);
  void (*forget)(unw_addr_space_t, unw_word_t, unw_word_t);
  unw_addr_space_t* space;
};
constinit Functions g_unw = {};
constinit std::atomic<uint32_t> g_seen_unloadings{0};
constinit std::atomic<bool> g_has_unloaded{false};

template <class T>
bool Find(void* library, const char* name, T* out) {
  *out = reinterpret_cast<T>(dlsym(library, name));
  return *out != nullptr;
}

bool Init() {
  void* library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  return library != nullptr && Find(library, "unw_backtrace", &g_unw.backtrace) &&
         Find(library, "_Ux86_64_getcontext", &g_unw.get_context) &&
         Find(library, "_ULx86_64_init_local", &g_unw.begin) &&
         Find(library, "_ULx86_64_step", &g_unw.step) &&
         Find(library, "_ULx86_64_get_reg", &g_unw.get_register) &&
         Find(library, "_Ux86_64_flush_cache", &g_unw.forget) &&
         Find(library, "_ULx86_64_local_addr_space", &g_unw.space);
}

// Whether the program has ever unloaded anything.
bool HasUnloaded() {
  const Header* h = g_region.header();
  if (h == nullptr) return false;
  const uint32_t unloadings = h->module_generation.load(std::memory_order_acquire);
  if (unloadings != g_seen_unloadings.load(std::memory_order_relaxed)) {
    g_unw.forget(*g_unw.space, 0, 0);
    g_seen_unloadings.store(unloadings, std::memory_order_relaxed);
    g_has_unloaded.store(true, std::memory_order_relaxed);
  }
  return g_has_unloaded.load(std::memory_order_relaxed);
}

__attribute__((noinline)) int StepByStep(uintptr_t* addresses, int max) {
  unw_context_t context;
  unw_cursor_t cursor;
  if (g_unw.get_context(&context) != 0 || g_unw.begin(&cursor, &context) != 0) return 0;
  int depth = 0;
  unw_word_t pc = 0;
  do {
    if (g_unw.get_register(&cursor, UNW_REG_IP, &pc) != 0 || pc == 0) break;
    addresses[depth++] = pc;
  } while (depth < max && g_unw.step(&cursor) > 0);
  return depth;
}

int Capture(const Place& from, uintptr_t* addresses, int max, bool* cut) {
  if (!HasRoom()) {
    addresses[0] = from.pc;
    *cut = true;
    return 1;
  }
  const int room = max + kOwnFrames;
  const int depth = HasUnloaded() ? StepByStep(addresses, room)
                                  : g_unw.backtrace(reinterpret_cast<void**>(addresses), room);
  return WithoutOwn(from, addresses, depth, max, cut);
}

}  // namespace

extern constexpr Backend kLibunwind = {"libunwind", Init, Capture};

}  // namespace memtrace::unwind
