#include "interpose/tracked.h"

#include <string.h>

#include <atomic>

#include "interpose/inspect.h"
#include "interpose/native.h"
#include "interpose/python/interpreter.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"

namespace memtrace {
namespace {

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
  if (HasPart(module->path, "/pandas/")) return MEMTRACE_TRACKED_PANDAS;
  return MEMTRACE_UNTRACKED;
}

}  // namespace memtrace
