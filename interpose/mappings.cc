#include "interpose/mappings.h"

#include <errno.h>

#include "interpose/mapping_callers.h"
#include "interpose/mapping_table.h"
#include "interpose/os/os.h"
#include "interpose/python/interpreter.h"
#include "interpose/recorder.h"
#include "interpose/site_tree.h"
#include "interpose/stack.h"

namespace memtrace {
namespace {

constinit MappingTable g_table;
constinit std::atomic<uint64_t> g_age{0};
constinit std::atomic<bool> g_given_up{false};

// Numbers of blocks and of records, used again.
class Numbers {
 public:
  static constexpr uint32_t kMost = 1u << 20;
  static constexpr uint32_t kScarce = 1u << 13;

  bool Init(uint32_t most) {
    most_ = most;
    unused_ = static_cast<uint32_t*>(os::Reserve(size_t{most} * sizeof(uint32_t)));
    return unused_ != nullptr;
  }
  // kMost: none left.
  uint32_t Take() {
    if (unused_count_ > 0) return unused_[--unused_count_];
    return made_ < most_ ? made_++ : kMost;
  }
  void Give(uint32_t number) { unused_[unused_count_++] = number; }
  void Clear() { unused_count_ = made_ = 0; }

 private:
  uint32_t* unused_ = nullptr;
  uint32_t unused_count_ = 0;
  uint32_t made_ = 0;
  uint32_t most_ = 0;
};

constinit Numbers g_blocks, g_records;
constinit uint32_t* g_parts = nullptr;  // of each block: how many of it are mapped

// At the first event. Refused memory is not asked for again.
bool InitTables() {
  if (g_table.ready()) return true;
  const bool scarce = !g_live_table.HasFastSlots();
  const uint32_t most = scarce ? Numbers::kScarce : Numbers::kMost;
  g_parts = static_cast<uint32_t*>(os::Reserve(size_t{most} * sizeof(uint32_t)));
  // The table last: it says that all is there.
  const bool ok =
      g_parts != nullptr && g_blocks.Init(most) && g_records.Init(most) && g_table.Init(scarce);
  if (!ok) g_given_up.store(true, std::memory_order_relaxed);
  return ok;
}

// -------------------------------------------------------------------------------------------------
// The lock

constinit std::atomic<bool> g_locked{false};

bool Lock() {
  constexpr int kYields = 1000;
  constexpr int kNaps = 10000;  // a second
  for (int i = 0; g_locked.exchange(true, std::memory_order_acquire); i++) {
    if (g_given_up.load(std::memory_order_relaxed)) return false;
    if (i >= kYields + kNaps) {
      g_given_up.store(true, std::memory_order_relaxed);
      return false;
    }
    i < kYields ? os::Yield() : os::Nap();
  }
  return true;
}

void Unlock() { g_locked.store(false, std::memory_order_release); }

// The table to itself, if it is to be had.
class Locked {
 public:
  Locked() : signals_(os::BlockSignals()), held_(Lock()) {
    ok_ = held_ && !g_given_up.load(std::memory_order_relaxed) && InitTables();
  }
  ~Locked() {
    if (held_) Unlock();
    os::RestoreSignals(signals_);
  }
  bool ok() const { return ok_; }

 private:
  os::SignalSet signals_;
  bool held_;
  bool ok_ = false;
};

// -------------------------------------------------------------------------------------------------
// Who maps

// One call of the program's, or of an allocator's for its heap.
class Event {
 public:
  explicit Event(uintptr_t caller) : saved_errno_(errno), t_(t_thread) {
    if (g_native && t_ != nullptr && !IsReady(t_->busy) && IsUnwinder(caller)) {
      t_ = nullptr;
    } else if (t_ != nullptr && t_->busy == Busy::kAllocating) {
      inside_ = true;
      t_->busy = Busy::kRecording;
    } else {
      t_ = EnterReady();
    }
  }
  ~Event() {
    if (t_ != nullptr) t_->busy = inside_ ? Busy::kAllocating : t_->rest;
    errno = saved_errno_;
  }

  // nullptr: not to be recorded.
  Thread* thread() const { return t_; }

  MappingKind KindFor(uintptr_t caller, Domain domain) const {
    if (inside_ || IsAllocator(caller)) {
      return python::g_interpreter.Holds(caller) ? MappingKind::kPythonAllocator
                                                 : MappingKind::kAllocator;
    }
    return domain == Domain::kMmap ? MappingKind::kAnonymous : MappingKind::kFile;
  }

 private:
  const int saved_errno_;
  Thread* t_;
  bool inside_ = false;
};

bool IsProgram(MappingKind kind) {
  return kind == MappingKind::kAnonymous || kind == MappingKind::kFile;
}

uint64_t PageUp(uint64_t bytes) {
  const uint64_t mask = os::PageBytes() - 1;
  return (bytes + mask) & ~mask;
}

// -------------------------------------------------------------------------------------------------
// Publishing

void Write(uint32_t record, const Mapping& m, MappingKind kind) {
  if (record == Mapping::kNoRecord) return;
  auto* r = g_region.At<MappingRecord>(kMappings, record);
  const uint64_t seq = r->seq.load(std::memory_order_relaxed) & ~uint64_t{1};
  r->seq.store(seq + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  r->start = m.start;
  r->end = m.end;
  r->site = m.site;
  r->kind = static_cast<uint32_t>(kind);
  r->seq.store(seq + 2, std::memory_order_release);
}

void Publish(const Mapping& m) { Write(m.record, m, m.kind); }

void Withdraw(const Mapping& m) {
  if (m.record == Mapping::kNoRecord) return;
  Write(m.record, m, MappingKind::kNone);
  g_records.Give(m.record);
}

// kNoRecord: the region has no room.
uint32_t TakeRecord() {
  const uint32_t record = g_records.Take();
  if (record == Numbers::kMost) return Mapping::kNoRecord;
  if (g_region.ReserveUpTo(kMappings, uint64_t{record} + 1)) return record;
  g_records.Give(record);
  return Mapping::kNoRecord;
}

// -------------------------------------------------------------------------------------------------
// The table. The caller holds the lock.

// `bytes` of the mapping are gone; a part of it may be left.
void BookFree(Thread* t, const Mapping& m, uint64_t bytes, bool part_gone) {
  if (!IsProgram(m.kind)) return;
  if (part_gone) g_parts[m.block]--;
  const bool last = g_parts[m.block] == 0;
  if (last) g_blocks.Give(m.block);
  char* cells = CellsOf(t, m.site);
  if (cells == nullptr) {
    g_region.CountLoss(Loss::kRegionFull, 0);
  } else if (last) {
    CountFree(cells, m.site, bytes, /*temporary=*/false);
  } else {
    CountPart(cells, m.site, bytes);
  }
}

// The part of `before` behind a hole, as a mapping of its own. False: there is no room for it.
bool AddTail(Mapping tail) {
  tail.record = TakeRecord();
  if (tail.record == Mapping::kNoRecord) return false;
  if (!g_table.Insert(tail)) {
    g_records.Give(tail.record);
    return false;
  }
  if (IsProgram(tail.kind)) g_parts[tail.block]++;
  Publish(tail);
  return true;
}

// Ends what lies in [start, end) of a mapping that does.
void Cut(Thread* t, Mapping* m, uint64_t start, uint64_t end) {
  const Mapping before = *m;
  const bool has_head = before.start < start;
  const bool has_tail = end < before.end;
  Mapping tail = before;
  tail.start = end;
  uint64_t gone = (has_tail ? end : before.end) - (has_head ? start : before.start);
  if (has_head) {
    m->end = start;
    Publish(*m);
    if (has_tail && !AddTail(tail)) {
      g_region.CountLoss(Loss::kLiveTable, 0);
      gone += tail.bytes();  // it is not followed any more
    }
  } else if (has_tail) {
    m->start = end;
    Publish(*m);
  } else {
    Withdraw(*m);
    g_table.Erase(m);
  }
  BookFree(t, before, gone, /*part_gone=*/!has_head && !has_tail);
}

// Ends what is mapped in [start, end) and not younger than `age`.
void End(Thread* t, uint64_t start, uint64_t end, uint64_t age) {
  uint64_t next;
  for (uint64_t from = start; from < end; from = next) {
    Mapping* m = g_table.At(from);
    if (m == nullptr || m->start >= end) return;
    next = m->end;
    if (m->age <= age) Cut(t, m, start > m->start ? start : m->start, end);
  }
}

void Lose(Loss reason, uint64_t bytes) { g_region.CountLoss(reason, bytes); }

// site 0: of an allocator.
void Add(Thread* t, uint64_t start, uint64_t end, MappingKind kind, uint32_t site) {
  const uint64_t age = g_age.load(std::memory_order_relaxed) + 1;
  Mapping m = {start, end, age, site, 0, TakeRecord(), kind};
  if (m.record == Mapping::kNoRecord) return Lose(Loss::kRegionFull, m.bytes());
  if (site != 0) m.block = g_blocks.Take();
  if (m.block == Numbers::kMost || !g_table.Insert(m)) {
    if (site != 0 && m.block != Numbers::kMost) g_blocks.Give(m.block);
    g_records.Give(m.record);
    return Lose(Loss::kLiveTable, m.bytes());
  }
  g_age.store(age, std::memory_order_release);
  if (site != 0) {
    g_parts[m.block] = 1;
    CountAlloc(CellsOf(t, site), site, m.bytes());
  }
  Publish(m);
}

// The site of the program's own mapping, with room for it in its cell; 0: there is none.
uint32_t SiteFor(Thread* t, const HookCall& call, MappingKind kind, uint64_t bytes) {
  const Domain domain = kind == MappingKind::kFile ? Domain::kMmapFile : Domain::kMmap;
  const uint32_t here = g_native ? NativeSite(t, domain, call.caller, call.hook)
                                 : MallocSiteHere(t, call.caller, domain);
  const uint32_t site = RoomySite(t, here, bytes);
  return site != 0 && CellsOf(t, site) != nullptr ? site : 0;
}

// What was in [old, old_end) up to `age`, and whatever is at the new place, makes way.
void Replace(Thread* t, const HookCall& call, MappingKind kind, uint64_t old, uint64_t old_end,
             uint64_t age, uint64_t start, uint64_t end) {
  const uint32_t site = IsProgram(kind) ? SiteFor(t, call, kind, end - start) : 0;
  Locked locked;
  if (!locked.ok()) return Lose(Loss::kLiveTable, end - start);
  if (old < old_end) End(t, old, old_end, age);
  End(t, start, end, ~uint64_t{0});
  if (IsProgram(kind) && site == 0) {
    return Lose(SiteIdsUsedUp() ? Loss::kSiteIds : Loss::kRegionFull, end - start);
  }
  Add(t, start, end, kind, site);
}

}  // namespace

uint64_t MappingAge() { return g_age.load(std::memory_order_acquire); }

void RecordMap(const HookCall& call, const void* address, size_t bytes, Domain domain) {
  Event event(call.caller);
  Thread* t = event.thread();
  const auto start = reinterpret_cast<uint64_t>(address);
  if (t != nullptr) {
    Replace(t, call, event.KindFor(call.caller, domain), 0, 0, 0, start, start + PageUp(bytes));
  }
}

void RecordUnmap(const HookCall& call, const void* address, size_t bytes, uint64_t age) {
  Event event(call.caller);
  Thread* t = event.thread();
  if (t == nullptr) return;
  Locked locked;
  const auto start = reinterpret_cast<uint64_t>(address);
  if (!locked.ok()) return Lose(Loss::kLiveTable, 0);
  End(t, start, start + PageUp(bytes), age);
}

Remapping BeginRemap(const HookCall& call, const void* address) {
  Event event(call.caller);
  Remapping remapping;
  if (event.thread() == nullptr) return remapping;
  Locked locked;
  if (!locked.ok()) return remapping;
  const auto start = reinterpret_cast<uint64_t>(address);
  const Mapping* m = g_table.At(start);
  if (m != nullptr && m->start <= start) remapping.kind = m->kind;
  remapping.age = MappingAge();
  return remapping;
}

void RecordRemap(const HookCall& call, const Remapping& remapping, const void* old,
                 size_t old_bytes, const void* address, size_t bytes) {
  Event event(call.caller);
  Thread* t = event.thread();
  if (t == nullptr) return;
  const auto from = reinterpret_cast<uint64_t>(old);
  const auto start = reinterpret_cast<uint64_t>(address);
  const uint64_t end = start + PageUp(bytes);
  if (remapping.kind != MappingKind::kNone) {
    return Replace(t, call, remapping.kind, from, from + PageUp(old_bytes), remapping.age, start,
                   end);
  }
  Locked locked;
  if (!locked.ok()) return Lose(Loss::kLiveTable, 0);
  End(t, from, from + PageUp(old_bytes), remapping.age);
  End(t, start, end, ~uint64_t{0});
}

// -------------------------------------------------------------------------------------------------
// Fork

namespace {

thread_local constinit bool t_holds __attribute__((tls_model("initial-exec"))) = false;
constinit os::SignalSet g_held_signals = 0;  // of the thread that holds

}  // namespace

void HoldMappings() {
  if (g_age.load(std::memory_order_relaxed) == 0) return;
  const os::SignalSet signals = os::BlockSignals();
  t_holds = Lock();
  if (t_holds) {
    g_held_signals = signals;
  } else {
    os::RestoreSignals(signals);
  }
}

void ReleaseMappings() {
  if (!t_holds) return;
  t_holds = false;
  const os::SignalSet signals = g_held_signals;
  Unlock();
  os::RestoreSignals(signals);
}

void InheritMappings() {
  // A bare clone() while another thread, which is not here, was at it.
  const bool torn = g_locked.load(std::memory_order_relaxed) && !t_holds;
  if (torn) g_given_up.store(true, std::memory_order_relaxed);
  if (!g_table.ready() || g_given_up.load(std::memory_order_relaxed)) return;
  g_records.Clear();
  uint64_t from = 0;
  for (Mapping* m; (m = g_table.At(from)) != nullptr; from = m->end) {
    m->record = TakeRecord();
    if (m->record == Mapping::kNoRecord) Lose(Loss::kRegionFull, 0);
    Publish(*m);
  }
}

}  // namespace memtrace
