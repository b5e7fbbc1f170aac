#include "interpose/tracked.h"

#include <string.h>

#include <atomic>

#include "interpose/generations.h"
#include "interpose/inspect.h"
#include "interpose/native.h"
#include "interpose/os/os.h"
#include "interpose/python/interpreter.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"

namespace memtrace {

constinit std::atomic<bool> g_tracking{false};

namespace {

constinit std::atomic<int64_t> g_generation_tracked{0};
constinit std::atomic<int64_t> g_current{0};
constinit std::atomic<int64_t> g_peak{0};

// What is known of each site; a forked child has its parent's, whose ids go on.
enum Known : uint8_t { kUnknown = 0, kTracked = 1, kUntracked = 2 };
constinit std::atomic<uint8_t*> g_known{nullptr};

bool IsTracked(uint32_t site) {
  uint8_t* known = g_known.load(std::memory_order_acquire);
  if (known == nullptr) return TrackedOf(site) >= 0;
  if (known[site] == kUnknown) known[site] = TrackedOf(site) >= 0 ? kTracked : kUntracked;
  return known[site] == kTracked;
}

// Whether the path has this part; it is not terminated.
bool HasPart(uint32_t path, const char* part) {
  const auto* text = g_region.At<StringRecord>(kStrings, uint64_t{path} * 8);
  return memmem(text + 1, text->bytes, part, strlen(part)) != nullptr;
}

// The frame that called; 0: none is known.
uint32_t CallingFrame(SiteRecord site) {
  if (!g_native || site.caller() == 0) return site.caller();
  return g_region.At<NodeRecord>(kNativeNodes, site.caller())->frame;
}

}  // namespace

void BeginTracking(int64_t generation, TrackedBytes now) {
  if (g_known.load(std::memory_order_relaxed) == nullptr) {
    g_known.store(static_cast<uint8_t*>(os::Reserve(kMaxSites)), std::memory_order_release);
  }
  g_generation_tracked.store(generation, std::memory_order_relaxed);
  g_current.store(now.current, std::memory_order_relaxed);
  g_peak.store(now.peak, std::memory_order_relaxed);
  g_tracking.store(true, std::memory_order_release);
}

void EndTracking() { g_tracking.store(false, std::memory_order_relaxed); }

TrackedBytes TrackedNow() {
  const int64_t current = g_current.load(std::memory_order_relaxed);
  const int64_t peak = g_peak.load(std::memory_order_relaxed);
  return {current, peak > current ? peak : current};
}

void ResetTrackedPeak() { g_peak.store(g_current.load(std::memory_order_relaxed)); }

void Track(uint32_t site, int64_t bytes) {
  if (!IsSince(site, g_generation_tracked.load(std::memory_order_relaxed))) return;
  if (!IsTracked(site)) return;
  const int64_t now = g_current.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  int64_t peak = g_peak.load(std::memory_order_relaxed);
  while (now > peak && !g_peak.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

const ModuleRecord* CallingModule(SiteRecord site) {
  const uint32_t frame = CallingFrame(site);
  if (frame == 0) return nullptr;
  const uint32_t kind_owner = g_region.At<FrameRecord>(kFrames, frame)->kind_owner;
  const uint32_t module = kind_owner & 0x0fffffff;
  const bool native = kind_owner >> 28 == static_cast<uint32_t>(FrameKind::kNative);
  return native && module != 0 ? g_region.At<ModuleRecord>(kModules, module) : nullptr;
}

int32_t TrackedOf(uint32_t id) {
  const SiteRecord site = *RecordOf(id);
  const auto domain = static_cast<Domain>(site.domain());
  if (IsPythonDomain(domain)) return MEMTRACE_TRACKED_PYTHON;
  if (domain != Domain::kMalloc) return MEMTRACE_UNTRACKED;
  const ModuleRecord* module = CallingModule(site);
  // Native stacks have no frames of the interpreter's, but the mark where it runs.
  if (module == nullptr) return g_native ? MEMTRACE_TRACKED_PYTHON : MEMTRACE_UNTRACKED;
  // The interpreter stays where it is: the module's first place is its place.
  if (python::g_interpreter.Holds(module->start)) return MEMTRACE_TRACKED_PYTHON;
  if (HasPart(module->path, "/numpy/")) return MEMTRACE_TRACKED_NUMPY;
  // Of pandas' own memory, its hash tables; what its parsers get from malloc it does not tell.
  if (HasPart(module->path, "/pandas/_libs/hashtable")) return MEMTRACE_TRACKED_PANDAS;
  return MEMTRACE_UNTRACKED;
}

}  // namespace memtrace
