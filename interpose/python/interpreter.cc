#include "interpose/python/interpreter.h"

#include <atomic>

namespace memtrace::python {

constinit Range g_interpreter;

namespace {

constinit os::Module g_module;
constinit std::atomic<uintptr_t> g_taken{0};  // where the module starts
constinit bool g_linked = false;
constinit std::atomic<bool> g_may_go{false};  // found later, and not yet kept from being unloaded

constexpr char kRuntime[] = "_PyRuntime";  // nobody but the interpreter defines or copies it

void Publish() {
  g_interpreter.start = g_module.start;
  std::atomic_ref<uintptr_t>(g_interpreter.end).store(g_module.end, std::memory_order_release);
}

}  // namespace

bool TakeLinked() {
  const void* runtime = os::AnySymbol(kRuntime);
  if (runtime == nullptr || os::AnySymbol("PyMem_SetAllocator") == nullptr) return false;
  if (!os::FindModule(reinterpret_cast<uintptr_t>(runtime), &g_module)) return false;
  g_linked = true;
  g_taken.store(g_module.start);
  Publish();
  return true;
}

Found Look(const os::Module& module) {
  if (g_interpreter.Holds(module.start)) return Found::kNothing;
  if (os::ModuleSymbol(module, kRuntime) == nullptr ||
      os::ModuleSymbol(module, "PyMem_SetAllocator") == nullptr) {
    return Found::kNothing;
  }
  uintptr_t taken = 0;
  if (!g_taken.compare_exchange_strong(taken, module.start)) {
    return taken == module.start ? Found::kNothing : Found::kAnother;
  }
  g_module = module;
  g_may_go.store(true, std::memory_order_release);
  Publish();
  return Found::kFirst;
}

// A program may hold copies of the objects of a library that it is linked with, which the library
// uses, too: the search order knows them. Nobody has copies of what was loaded later.
void* Symbol(const char* name, size_t* bytes) {
  void* here = g_linked && bytes == nullptr ? os::AnySymbol(name) : nullptr;
  return here != nullptr ? here : os::ModuleSymbol(g_module, name, bytes);
}

bool KeepInterpreter() {
  if (!g_may_go.load(std::memory_order_acquire)) return true;
  if (!os::KeepLoaded(g_module)) return false;
  g_may_go.store(false, std::memory_order_release);
  return true;
}

}  // namespace memtrace::python
