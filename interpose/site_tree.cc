#include "interpose/site_tree.h"

#include <errno.h>
#include <string.h>

#include "interpose/generations.h"
#include "interpose/hot.h"
#include "interpose/intern.h"
#include "interpose/modules.h"
#include "interpose/native.h"
#include "interpose/os/os.h"
#include "interpose/python/hooks.h"
#include "interpose/region.h"
#include "interpose/unwind/incremental.h"

namespace memtrace {
namespace {

constexpr uint32_t kMaxCodes = 1u << 20;
constexpr uint32_t kMaxStrings = 1u << 24;  // units of 8 bytes
constexpr uint32_t kMaxInstructions = 1u << 23;
constexpr uint32_t kScarceInstructions = 1u << 18;  // beyond, lines are decoded again each time

struct Instruction {
  uint32_t code;
  uint32_t offset;
  uint32_t frame;
};

constinit InternIndex g_strings, g_codes, g_frames, g_nodes, g_native_nodes, g_instructions;
constinit InternIndex g_sites, g_busy_sites;
constinit Instruction* g_instruction = nullptr;
constinit std::atomic<uint32_t> g_instruction_count{1};
constinit uint32_t g_max_instructions = kMaxInstructions;
constinit bool g_scarce = false;

uint64_t HashBytes(const char* text, size_t bytes) {
  uint64_t h = Mix(bytes + 1);
  while (bytes >= 8) {
    uint64_t word;
    memcpy(&word, text, 8);
    h = Mix(h ^ word);
    text += 8;
    bytes -= 8;
  }
  uint64_t tail = 0;
  memcpy(&tail, text, bytes);
  return Mix(h ^ tail);
}

uint64_t Hash(uint64_t a, uint64_t b, uint64_t c = 0) {
  return Mix(a + 0x9e3779b97f4a7c15ull * (b + 1) + 0xc2b2ae3d27d4eb4full * c);
}

template <class T>
void Publish(T* word, T value) {
  std::atomic_ref<T>(*word).store(value, std::memory_order_release);
}

// The event is still counted, with a part of its stack.
uint32_t NoRoom() {
  g_region.header()->flags.fetch_or(kFlagStacksTruncated, std::memory_order_relaxed);
  return 0;
}

}  // namespace

bool InitSiteTree(bool scarce) {
  g_scarce = scarce;
  if (scarce) g_max_instructions = kScarceInstructions;
  g_instruction =
      static_cast<Instruction*>(os::Reserve(size_t{g_max_instructions} * sizeof(Instruction)));
  return g_instruction != nullptr && g_strings.Init(kMaxStrings) && g_codes.Init(kMaxCodes) &&
         g_frames.Init(kMaxFrames) && g_nodes.Init(kMaxNodes) && g_sites.Init(kMaxSites) &&
         g_busy_sites.Init(kMaxSites) && g_instructions.Init(g_max_instructions) &&
         InitModuleIndex();
}

// The indices are small.
void DropSiteTree() {
  if (g_instruction == nullptr) return;
  os::Release(g_instruction, size_t{g_max_instructions} * sizeof(Instruction));
  g_instruction = nullptr;
}

void ForgetSites() {
  g_sites.Clear();
  g_busy_sites.Clear();
}

uint32_t InternString(const char* text, size_t bytes) {
  const uint64_t hash = HashBytes(text, bytes);
  const auto same = [&](uint32_t id) {
    const auto* s = g_region.At<StringRecord>(kStrings, uint64_t{id} * 8);
    return s->bytes == bytes && s->hash == static_cast<uint32_t>(hash) &&
           memcmp(s + 1, text, bytes) == 0;
  };
  if (const uint32_t id = g_strings.Find(hash, same)) return id;
  const uint64_t at = g_region.ReserveBytes(sizeof(StringRecord) + bytes);
  if (at == Region::kNone) return 0;
  auto* s = g_region.At<StringRecord>(kStrings, at);
  s->hash = static_cast<uint32_t>(hash);
  memcpy(s + 1, text, bytes);
  Publish(&s->bytes, static_cast<uint32_t>(bytes));
  return g_strings.Insert(hash, static_cast<uint32_t>(at / 8), same);
}

uint32_t InternCode(uint32_t filename, uint32_t name, uint32_t first_line, uint64_t table_hash) {
  const uint64_t hash = Hash(filename, name, table_hash + first_line);
  const auto same = [&](uint32_t id) {
    const auto* c = g_region.At<CodeRecord>(kCodes, id);
    return c->filename == filename && c->name == name && c->first_line == first_line &&
           c->line_table_hash == table_hash;
  };
  if (const uint32_t id = g_codes.Find(hash, same)) return id;
  const uint64_t at = g_region.Reserve(kCodes, 1);
  if (at == Region::kNone || at >= kMaxCodes) return 0;
  auto* c = g_region.At<CodeRecord>(kCodes, at);
  c->name = name;
  c->first_line = first_line;
  c->line_table_hash = table_hash;
  Publish(&c->filename, filename);
  return g_codes.Insert(hash, static_cast<uint32_t>(at), same);
}

uint32_t InternFrame(FrameKind kind, uint32_t owner, uint32_t line, uint64_t address) {
  const uint32_t kind_owner = PackKindOwner(kind, owner);
  const uint64_t hash = Hash(kind_owner, line, address);
  const auto same = [&](uint32_t id) {
    const auto* f = g_region.At<FrameRecord>(kFrames, id);
    return f->kind_owner == kind_owner && f->line == line && f->address == address;
  };
  if (const uint32_t id = g_frames.Find(hash, same)) return id;
  const uint64_t at = g_region.Reserve(kFrames, 1);
  if (at == Region::kNone || at >= kMaxFrames) return NoRoom();
  auto* f = g_region.At<FrameRecord>(kFrames, at);
  f->address = address;
  f->line = line;
  Publish(&f->kind_owner, kind_owner);
  return g_frames.Insert(hash, static_cast<uint32_t>(at), same);
}

// A frame under a parent, in one of the trees.
template <SectionId section, uint32_t max>
MEMTRACE_HOT uint32_t InternIn(InternIndex& index, uint32_t parent, uint32_t frame) {
  const uint64_t hash = Hash(parent, frame);
  const auto same = [&](uint32_t id) {
    const auto* n = g_region.At<NodeRecord>(section, id);
    return n->parent == parent && n->frame == frame;
  };
  if (const uint32_t id = index.Find(hash, same)) return id;
  const uint64_t at = g_region.Reserve(section, 1);
  if (at == Region::kNone || at >= max) return NoRoom();
  auto* n = g_region.At<NodeRecord>(section, at);
  n->parent = parent;
  Publish(&n->frame, frame);
  return index.Insert(hash, static_cast<uint32_t>(at), same);
}

uint32_t InternNode(uint32_t parent, uint32_t frame) {
  return InternIn<kNodes, kMaxNodes>(g_nodes, parent, frame);
}

// The first children of a node are found through it: nodes are made, and looked for again, in the
// order of the program's calls, so that they lie side by side, and a hash would scatter them. The
// others go by the index.
struct NodeLinks {
  std::atomic<uint32_t> first;  // child, 0: none
  uint32_t next;                // sibling
};
static constexpr int kLinked = 8;
static constinit NodeLinks* g_links = nullptr;

bool InitNativeNodes() {
  g_links = static_cast<NodeLinks*>(os::Reserve(sizeof(NodeLinks) * kMaxNativeNodes));
  return g_links != nullptr && g_native_nodes.Init(kMaxNativeNodes) &&
         g_region.Reserve(kNativeNodes, 1) != Region::kNone;  // 0 means "none"
}

static uint32_t FindLinked(uint32_t child, uint32_t frame, int* count) {
  for (*count = 0; child != 0 && *count < kLinked; child = g_links[child].next, ++*count) {
    if (g_region.At<NodeRecord>(kNativeNodes, child)->frame == frame) return child;
  }
  return 0;
}

uint32_t InternNativeNode(uint32_t parent, uint32_t frame) {
  std::atomic<uint32_t>& first = g_links[parent].first;
  uint32_t head = first.load(std::memory_order_acquire), made = 0;
  for (;;) {
    int count;
    if (const uint32_t child = FindLinked(head, frame, &count)) return child;
    if (count == kLinked) {
      return InternIn<kNativeNodes, kMaxNativeNodes>(g_native_nodes, parent, frame);
    }
    if (made == 0) {
      const uint64_t at = g_region.Reserve(kNativeNodes, 1);
      if (at == Region::kNone || at >= kMaxNativeNodes) return NoRoom();
      made = static_cast<uint32_t>(at);
      auto* n = g_region.At<NodeRecord>(kNativeNodes, at);
      n->parent = parent;
      Publish(&n->frame, frame);
    }
    g_links[made].next = head;
    if (first.compare_exchange_strong(head, made, std::memory_order_acq_rel)) return made;
  }
}

// Ids come in groups of a thread's own, so that its cells lie together.
static uint32_t NewSmallId(Thread* t) {
  SiteIds& ids = t->small_ids;
  if (ids.next == ids.end) {
    const uint64_t first = g_region.Reserve(kSites, kSitesPerSmallPage);
    if (first == Region::kNone || first + kSitesPerSmallPage > kFirstBusySite) return 0;
    ids = {static_cast<uint32_t>(first), static_cast<uint32_t>(first) + kSitesPerSmallPage};
  }
  return ids.next++;
}

static uint32_t NewBusyId(Thread* t) {
  SiteIds& ids = t->busy_ids;
  if (ids.next == ids.end) {
    const uint64_t first = g_region.Reserve(kBusySites, kSitesPerBlock);
    if (first == Region::kNone || first + kSitesPerBlock > kMaxSites - kFirstBusySite) return 0;
    ids.next = kFirstBusySite + static_cast<uint32_t>(first);
    ids.end = ids.next + kSitesPerBlock;
  }
  return ids.next++;
}

SiteRecord* RecordOf(uint32_t site) {
  return IsBusySite(site) ? g_region.At<SiteRecord>(kBusySites, site - kFirstBusySite)
                          : g_region.At<SiteRecord>(kSites, site);
}

Domain DomainOf(uint32_t site) { return static_cast<Domain>(RecordOf(site)->domain()); }

static uint32_t Publish(uint32_t site, SiteRecord record) {
  if (site != 0) Publish(&RecordOf(site)->word, record.word);
  return site;
}

bool SiteIdsUsedUp() {
  const Section* sections = g_region.header()->sections;
  return sections[kSites].used.load(std::memory_order_relaxed) >= kFirstBusySite ||
         sections[kBusySites].used.load(std::memory_order_relaxed) >= kMaxSites - kFirstBusySite;
}

static uint64_t HashOf(SiteRecord record, int64_t generation) {
  return Mix(record.word + static_cast<uint64_t>(generation) * 0x9e3779b97f4a7c15ull);
}

uint32_t InternSite(Thread* t, uint32_t node, uint32_t caller, Domain domain) {
  const SiteRecord record = SiteRecord::Of(node, caller, domain, t->slot);
  const int64_t generation = PresentGeneration();
  const uint64_t hash = HashOf(record, generation);
  const auto same = [&](uint32_t id) {
    return RecordOf(id)->word == record.word && IsSince(id, generation);
  };
  if (const uint32_t id = g_sites.Find(hash, same)) return id;
  const uint32_t id = Publish(NewSmallId(t), record);
  return id != 0 ? g_sites.Insert(hash, id, same) : 0;
}

// Index by node instead of a search; nullptr: no memory for it. It is large, and each thread's own.
static uint32_t* PythonPlace(Thread* t, uint32_t node, uint32_t domain) {
  uint32_t*& sites = t->python_sites[domain - static_cast<uint32_t>(Domain::kPythonMem)];
  if (sites == nullptr && !g_scarce) {
    sites = static_cast<uint32_t*>(os::Reserve(size_t{kMaxNodes} * sizeof(uint32_t)));
  }
  return sites != nullptr ? sites + node : nullptr;
}

uint32_t InternPythonSite(Thread* t, uint32_t node, Domain domain) {
  uint32_t* place = PythonPlace(t, node, static_cast<uint32_t>(domain));
  if (place == nullptr) return InternSite(t, node, 0, domain);
  if (*place == 0) *place = Publish(NewSmallId(t), SiteRecord::Of(node, 0, domain, t->slot));
  return *place;
}

static uint64_t SiteWord(uint32_t site, uint32_t node, Domain domain) {
  return site | uint64_t{node} << 24 | static_cast<uint64_t>(domain) << 48;
}

uint32_t InternSiteOfStacks(Thread* t, uint32_t node, uint32_t native_node, Domain domain) {
  if (t->native == nullptr) return InternSite(t, node, native_node, domain);
  uint64_t& word = t->native->sites[native_node];
  if (word >> 24 == SiteWord(0, node, domain) >> 24) return word & 0xffffff;
  if (word != 0) return InternSite(t, node, native_node, domain);
  const uint32_t site = Publish(NewSmallId(t), SiteRecord::Of(node, native_node, domain, t->slot));
  if (site != 0) word = SiteWord(site, node, domain);
  return site;
}

uint32_t SamePlaceNow(Thread* t, uint32_t site) {
  if (IsSince(site, PresentGeneration())) return site;
  const SiteRecord record = *RecordOf(site);
  const auto domain = static_cast<Domain>(record.domain());
  return InternSite(t, record.node(), record.caller(), domain);
}

static uint32_t InternBusySite(Thread* t, SiteRecord record) {
  const int64_t generation = PresentGeneration();
  const uint64_t hash = HashOf(record, generation);
  const auto same = [&](uint32_t id) {
    return RecordOf(id)->word == record.word && IsSince(id, generation);
  };
  if (const uint32_t id = g_busy_sites.Find(hash, same)) return id;
  const uint32_t id = Publish(NewBusyId(t), record);
  return id != 0 ? g_busy_sites.Insert(hash, id, same) : 0;
}

// Places in caches that still name the small site come here again, and are told again.
uint32_t BusySite(Thread* t, uint32_t site) {
  const int saved_errno = errno;
  const SiteRecord record = *RecordOf(site);
  const uint32_t busy = InternBusySite(t, record);
  if (busy != 0) {
    if (t->site_place != nullptr && *t->site_place == site) *t->site_place = busy;
    if (g_native && t->native != nullptr) {
      uint64_t& word = t->native->sites[record.caller()];
      if ((word & 0xffffff) == site) word += busy - site;
    } else if (IsPythonDomain(static_cast<Domain>(record.domain()))) {
      for (uint32_t& known : t->top_info->sites) known = known == site ? busy : known;
      uint32_t* place = PythonPlace(t, record.node(), record.domain());
      if (place != nullptr) *place = busy;
    }
  }
  errno = saved_errno;
  return busy;
}

void ForgetPythonSites(Thread* t) {
  for (uint32_t*& sites : t->python_sites) {
    if (sites != nullptr) os::Discard(sites, size_t{kMaxNodes} * sizeof(uint32_t));
  }
  if (t->native != nullptr) os::Discard(t->native->sites, sizeof t->native->sites);
}

uint32_t FindInstruction(uint32_t code, uint32_t offset) {
  const uint32_t id = g_instructions.Find(Hash(code, offset), [&](uint32_t i) {
    return g_instruction[i].code == code && g_instruction[i].offset == offset;
  });
  return id != 0 ? g_instruction[id].frame : 0;
}

void KeepInstruction(uint32_t code, uint32_t offset, uint32_t frame) {
  const uint32_t id = g_instruction_count.fetch_add(1, std::memory_order_relaxed);
  if (id >= g_max_instructions) return;
  g_instruction[id] = {code, offset, frame};
  g_instructions.Insert(Hash(code, offset), id, [](uint32_t) { return false; });
}

uint32_t InternNativeFrame(Thread* t, uintptr_t address) {
  bool met = false;
  const LoadedModule module = FindLoadedModule(address, &met);
  if (met) python::Meet(t, address);
  return InternFrame(FrameKind::kNative, module.id, 0, address - module.bias);
}

}  // namespace memtrace
