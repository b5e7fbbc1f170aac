#include "interpose/modules.h"

#include <string.h>

#include <atomic>

#include "interpose/intern.h"
#include "interpose/os/os.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"

namespace memtrace {
namespace {

constexpr uint32_t kMaxModules = 1u << 20;

// One loading of a module. `state` is twice the number of unloadings when it was asked for, plus 2:
// the entry counts as long as this is the present one; odd while it is written. The fields belong
// together if the state is the same after they have been read.
struct Loaded {
  std::atomic<uint64_t> state;
  std::atomic<uintptr_t> start;
  std::atomic<uintptr_t> end;
  std::atomic<uintptr_t> bias;
  std::atomic<uint32_t> id;
};
constexpr int kLoaded = 1024;

constinit Loaded g_loaded[kLoaded] = {};
constinit std::atomic<uint64_t> g_state{2};
constinit InternIndex g_modules;

// Entries of the present state come first: the search ends at one that is of the past.
LoadedModule FindKept(uintptr_t address, uint64_t valid) {
  for (const Loaded& loaded : g_loaded) {
    const uint64_t state = loaded.state.load(std::memory_order_acquire);
    if (state != valid) {
      if (state % 2 != 0) continue;
      break;
    }
    const uintptr_t start = loaded.start.load(std::memory_order_relaxed);
    const uintptr_t end = loaded.end.load(std::memory_order_relaxed);
    if (address < start || address >= end) continue;
    const LoadedModule found = {loaded.id.load(std::memory_order_relaxed),
                                loaded.bias.load(std::memory_order_relaxed)};
    std::atomic_thread_fence(std::memory_order_acquire);
    if (loaded.state.load(std::memory_order_relaxed) == valid) return found;
  }
  return {0, 0};
}

void Keep(const os::Module& module, uint32_t id, uint64_t valid) {
  for (Loaded& loaded : g_loaded) {
    uint64_t state = loaded.state.load(std::memory_order_relaxed);
    if (state >= valid || state % 2 != 0) continue;
    if (!loaded.state.compare_exchange_strong(state, valid | 1, std::memory_order_acq_rel)) {
      continue;
    }
    std::atomic_thread_fence(std::memory_order_release);
    loaded.start.store(module.start, std::memory_order_relaxed);
    loaded.end.store(module.end, std::memory_order_relaxed);
    loaded.bias.store(module.bias, std::memory_order_relaxed);
    loaded.id.store(id, std::memory_order_relaxed);
    loaded.state.store(valid, std::memory_order_release);
    return;
  }
}

uint64_t Hash(const os::Module& module, uint32_t path) {
  uint64_t id[sizeof module.build_id / 8 + 1] = {};
  memcpy(id, module.build_id, module.build_id_bytes);
  uint64_t hash = Mix(path + (uint64_t{module.end - module.start} << 20));
  for (uint64_t word : id) hash = Mix(hash ^ word);
  return hash;
}

uint32_t InternRecord(const os::Module& module) {
  static_assert(sizeof(os::Module) < 2048);
  const uint32_t path = InternString(module.path, strlen(module.path));
  if (path == 0) return 0;
  const auto same = [&](uint32_t id) {
    const auto* m = g_region.At<ModuleRecord>(kModules, id);
    return m->path == path && m->end - m->start == module.end - module.start &&
           m->build_id_bytes == module.build_id_bytes &&
           memcmp(m->build_id, module.build_id, module.build_id_bytes) == 0;
  };
  const uint64_t hash = Hash(module, path);
  if (const uint32_t id = g_modules.Find(hash, same)) return id;
  const uint64_t at = g_region.Reserve(kModules, 1);
  if (at == Region::kNone || at >= kMaxModules) return 0;
  auto* m = g_region.At<ModuleRecord>(kModules, at);
  m->start = module.start;
  m->end = module.end;
  m->bias = module.bias;
  m->generation = g_region.header()->module_generation.load(std::memory_order_relaxed);
  m->build_id_bytes = module.build_id_bytes;
  memcpy(m->build_id, module.build_id, sizeof m->build_id);
  std::atomic_ref<uint32_t>(m->path).store(path, std::memory_order_release);
  return g_modules.Insert(hash, static_cast<uint32_t>(at), same);
}

}  // namespace

bool InitModuleIndex() { return g_modules.Init(kMaxModules); }

LoadedModule FindLoadedModule(uintptr_t address, bool* met) {
  const uint64_t valid = g_state.load(std::memory_order_acquire);
  const LoadedModule kept = FindKept(address, valid);
  if (kept.id != 0) return kept;
  *met = true;
  os::Module module;
  if (!os::FindModule(address, &module)) return {0, 0};
  const uint32_t id = InternRecord(module);
  if (id == 0) return {0, 0};
  Keep(module, id, valid);
  return {id, module.bias};
}

void ForgetModules() {
  g_state.fetch_add(2, std::memory_order_acq_rel);
  g_region.header()->module_generation.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace memtrace
