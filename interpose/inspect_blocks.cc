// What inspect.h offers about blocks and places: the live table and the region's records.

#define MEMTRACE_BUILDING_LIBRARY
#include <errno.h>

#include "interpose/api_error.h"
#include "interpose/cells.h"
#include "interpose/generations.h"
#include "interpose/inspect.h"
#include "interpose/intern.h"
#include "interpose/lifecycle.h"
#include "interpose/live_walk.h"
#include "interpose/os/os.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"
#include "interpose/tracked.h"

namespace memtrace {
namespace {

// Blocks by site and size: an open-addressing table, whose first entry tells how long it is.
class Groups {
 public:
  explicit Groups(uint64_t blocks) {
    while (slots_ < 2 * blocks + 1024) slots_ *= 2;
    table_ = static_cast<memtrace_group*>(os::Reserve(Bytes(slots_)));
    if (table_ != nullptr) table_->count = slots_;
  }

  memtrace_group* groups() const { return table_ != nullptr ? table_ + 1 : nullptr; }
  int64_t count() const { return static_cast<int64_t>(used_); }

  void Add(uint64_t bytes, uint32_t site) {
    const uint64_t mask = slots_ - 1;
    uint64_t at = Mix(bytes << 24 ^ site) & mask;
    memtrace_group* group = groups();
    while (group[at].count != 0 && (group[at].site != site || group[at].bytes != bytes)) {
      at = (at + 1) & mask;
    }
    if (group[at].count == 0) {
      if (used_ == slots_ / 4 * 3) return;  // more blocks than there were a moment ago, by far
      used_++;
      group[at] = {bytes, 0, site, 0};
    }
    group[at].count++;
  }

  // What is there moves to the front.
  void Pack() {
    memtrace_group* group = groups();
    uint64_t to = 0;
    for (uint64_t i = 0; i < slots_ && to < used_; i++) {
      if (group[i].count != 0) group[to++] = group[i];
    }
  }

  static void Release(memtrace_group* groups) {
    memtrace_group* table = groups - 1;
    os::Release(table, Bytes(table->count));
  }

 private:
  static size_t Bytes(uint64_t slots) { return (slots + 1) * sizeof(memtrace_group); }

  uint64_t slots_ = 1024;
  uint64_t used_ = 0;
  memtrace_group* table_ = nullptr;
};

struct Collector {
  Groups* groups;
  int64_t generation;
  bool tracked_only;
  // Blocks of one site lie together.
  uint32_t last_site = 0;
  bool last_wanted = false;

  bool IsWanted(uint32_t site) {
    if (site == last_site) return last_wanted;
    last_site = site;
    last_wanted = site != 0 && IsSince(site, generation) && DomainOf(site) != Domain::kNone &&
                  (!tracked_only || TrackedOf(site) >= 0);
    return last_wanted;
  }
  static void Visit(void* self, uint64_t, uint64_t bytes, uint32_t site) {
    auto* c = static_cast<Collector*>(self);
    if (c->IsWanted(site)) c->groups->Add(bytes, site);
  }
};

uint64_t LiveBlocks() {
  int64_t sum = 0;
  EachCell([&](uint32_t, const CellFigures& figures) { sum += figures.live_objects; });
  return sum > 0 ? static_cast<uint64_t>(sum) : 0;
}

bool IsRecord(SectionId section, uint64_t index) {
  return index != 0 && index < g_region.header()->sections[section].used.load();
}

bool IsSite(uint32_t id) {
  return IsBusySite(id) ? id - kFirstBusySite < g_region.header()->sections[kBusySites].used.load()
                        : IsRecord(kSites, id);
}

memtrace_site SiteAt(uint32_t id) {
  if (!IsSite(id) || DomainOf(id) == Domain::kNone) return {};
  const SiteRecord site = *RecordOf(id);
  const bool malloc = !IsPythonDomain(static_cast<Domain>(site.domain()));
  const ModuleRecord* module = malloc ? CallingModule(site) : nullptr;
  return {site.node(),   module != nullptr ? module->path : 0,
          site.thread(), TrackedOf(id),
          site.domain(), 0};
}

memtrace_node NodeAt(uint32_t id) {
  if (!IsRecord(kNodes, id)) return {};
  const auto* node = g_region.At<NodeRecord>(kNodes, id);
  if (node->frame == 0) return {};
  const auto* frame = g_region.At<FrameRecord>(kFrames, node->frame);
  const uint32_t kind = frame->kind_owner >> 28, owner = frame->kind_owner & 0x0fffffff;
  if (kind == MEMTRACE_FRAME_LABEL) return {node->parent, kind, owner, 0, 0, 0};
  if (kind != MEMTRACE_FRAME_PYTHON) return {node->parent, MEMTRACE_FRAME_OTHER, 0, 0, 0, 0};
  const auto* code = g_region.At<CodeRecord>(kCodes, owner);
  return {node->parent, kind, code->filename, code->name, frame->line, code->first_line};
}

}  // namespace
}  // namespace memtrace

using namespace memtrace;

memtrace_group* memtrace_live_groups(int64_t generation, int tracked_only, int64_t* count) {
  ClearError();
  *count = -1;
  if (!IsRecording()) {
    NotTracing();
    return nullptr;
  }
  Groups groups(LiveBlocks());
  if (groups.groups() == nullptr) {
    Fail(ENOMEM, "%s", "no memory for a list of the live blocks");
    return nullptr;
  }
  Collector collector = {&groups, generation, tracked_only != 0};
  if (!EachLiveBlock(&Collector::Visit, &collector)) {
    Groups::Release(groups.groups());
    Fail(ENOTSUP, "%s", "/proc/self/maps cannot be read, so this process's blocks are not listed");
    return nullptr;
  }
  *count = groups.count();
  if (*count == 0) {
    Groups::Release(groups.groups());
    return nullptr;
  }
  groups.Pack();
  return groups.groups();
}

void memtrace_release_groups(memtrace_group* groups, int64_t) {
  if (groups != nullptr) Groups::Release(groups);
}

void memtrace_find_blocks(const uint64_t* addresses, uint64_t count, memtrace_block* blocks) {
  const bool recording = IsRecording();
  for (uint64_t i = 0; i < count; i++) {
    blocks[i] = {};
    for (uint32_t offset = 0; recording && offset <= 32; offset += 16) {
      const LiveBlock found = FindLiveBlock(addresses[i] - offset);
      if (found.site == 0 || found.bytes < offset + (offset != 0)) continue;
      blocks[i] = {found.bytes, found.site, offset};
      break;
    }
  }
}

void memtrace_sites(const uint32_t* ids, uint64_t count, memtrace_site* sites) {
  for (uint64_t i = 0; i < count; i++) sites[i] = IsRecording() ? SiteAt(ids[i]) : memtrace_site{};
}

void memtrace_nodes(const uint32_t* ids, uint64_t count, memtrace_node* nodes) {
  for (uint64_t i = 0; i < count; i++) nodes[i] = IsRecording() ? NodeAt(ids[i]) : memtrace_node{};
}

const char* memtrace_string(uint32_t id, uint32_t* bytes) {
  *bytes = 0;
  if (id == 0 || !IsRecording()) return "";
  if (uint64_t{id} * 8 >= g_region.header()->sections[kStrings].used.load()) return "";
  const auto* text = g_region.At<StringRecord>(kStrings, uint64_t{id} * 8);
  *bytes = text->bytes;
  return reinterpret_cast<const char*>(text + 1);
}
