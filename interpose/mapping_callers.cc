#include "interpose/mapping_callers.h"

#include <string.h>

#include <atomic>
#include <cstddef>

#include "interpose/os/os.h"
#include "interpose/python/interpreter.h"
#include "interpose/real.h"

namespace memtrace {
namespace {

constinit os::Module g_allocator;  // where malloc comes from, if that is not libc

bool Holds(const os::Module& module, uintptr_t address) {
  return address - module.start < module.end - module.start;
}

// CPython's function that maps arenas, and since 3.11 the stacks of its frames: a short one, which
// is called through a pointer. 1: not there.
constinit std::atomic<uintptr_t> g_arenas{0};

bool IsPythonArena(uintptr_t caller) {
  constexpr uintptr_t kLongest = 128;
  uintptr_t arenas = g_arenas.load(std::memory_order_relaxed);
  if (arenas == 0) {
    struct {
      void* context;
      void* (*map)(void*, size_t);
      void (*unmap)(void*, void*, size_t);
    } allocator = {};
    auto* get = reinterpret_cast<void (*)(void*)>(python::Symbol("PyObject_GetArenaAllocator"));
    if (get != nullptr) get(&allocator);
    arenas = allocator.map != nullptr ? reinterpret_cast<uintptr_t>(allocator.map) : 1;
    g_arenas.store(arenas, std::memory_order_relaxed);
  }
  return caller - arenas < kLongest;
}

}  // namespace

void InitMappingCallers() {
  const auto* real = reinterpret_cast<const void*>(g_real.malloc);
  if (real == nullptr || os::IsLibcFunction(real)) return;
  os::FindModule(reinterpret_cast<uintptr_t>(real), &g_allocator);
}

bool IsAllocator(uintptr_t caller) {
  return python::g_interpreter.Holds(caller) ? IsPythonArena(caller) : Holds(g_allocator, caller);
}

bool IsUnwinder(uintptr_t caller) {
  os::Module module;
  return os::FindModule(caller, &module) && strstr(module.path, "/libunwind") != nullptr;
}

}  // namespace memtrace
