// The recorder's slow paths: threads, cell pages, totals, the timeline. Starting and forking are in
// lifecycle.cc.

#include "interpose/recorder.h"

#include <errno.h>
#include <string.h>

#include "interpose/lifecycle.h"
#include "interpose/os/os.h"
#include "interpose/python/hooks.h"
#include "interpose/site_tree.h"
#include "interpose/threads.h"
#include "interpose/tracked.h"

namespace memtrace {

constinit GatePage* g_gate = nullptr;
thread_local constinit Thread* t_thread = nullptr;
constinit std::atomic<int64_t> g_peak_slack{0};
constinit std::atomic<uint32_t> g_stale{0};
constinit bool g_exact_peak = false;
constinit std::atomic<bool> g_stopped{false};

namespace {

constinit std::atomic<uint64_t> g_now_ns{0};  // boot clock at the last tick
constinit std::atomic<bool> g_ticking{false};

// With an exact peak, one thread at a time counts. The holder is in the recorder, so it is never
// interrupted for long; a signal handler's allocations are dropped there. A forked child finds it
// free: ResetExactPeak.
constinit std::atomic<bool> g_counting{false};

class ExactPeakLock {
 public:
  ExactPeakLock() {
    if (!g_exact_peak) return;
    while (g_counting.exchange(true, std::memory_order_acquire)) {
      while (g_counting.load(std::memory_order_relaxed)) os::Yield();
    }
  }
  ~ExactPeakLock() {
    if (g_exact_peak) g_counting.store(false, std::memory_order_release);
  }
};

}  // namespace

void ResetExactPeak() { g_counting.store(false, std::memory_order_relaxed); }

static bool IsUnseen(const Thread* t) {
  return t->pauses != 0 || g_stopped.load(std::memory_order_relaxed);
}

Busy RestingState(const Thread* t) {
  if (IsUnseen(t)) return Busy::kAllocating;
  const bool counted = t->meters != 0 || g_tracking.load(std::memory_order_relaxed);
  if (g_exact_peak || counted || !g_live_table.HasFastSlots()) return Busy::kClosed;
  const Gate gate = g_gate->state.load(std::memory_order_relaxed);
  if (gate == Gate::kWatching) return Busy::kWatchful;
  return gate == Gate::kOpen ? Busy::kIdle : Busy::kClosed;
}

static bool RestsUnseen(const Thread* t) {
  return t->busy == Busy::kAllocating && t->rest == Busy::kAllocating;
}

void Rest(Thread* t) { t->busy = t->rest = RestingState(t); }

Thread* UnseenThread() {
  Thread* t = t_thread;
  return t != nullptr && RestsUnseen(t) ? t : nullptr;
}

// A first event of a thread or of a forked child, one while the interpreter starts, or any with an
// exact peak; or one inside another event.
__attribute__((noinline)) Thread* EnterSlow(uintptr_t caller) {
  Thread* t = t_thread;
  if (t != nullptr && t->busy == Busy::kAllocating && (!RestsUnseen(t) || IsUnseen(t))) {
    return nullptr;
  }
  if (t != nullptr && t->busy == Busy::kRecording) {
    g_region.CountLoss(Loss::kReentrant, 0);
    return nullptr;
  }
  const int saved_errno = errno;
  t = OpenGate() ? (t_thread != nullptr ? t_thread : ClaimThread()) : nullptr;
  if (t != nullptr) {
    if (g_gate->state.load(std::memory_order_relaxed) == Gate::kWatching) {
      t->busy = Busy::kAllocating;  // what CPython allocates for the hooks is not the program's
      if (python::Watch(caller)) g_gate->state.store(Gate::kOpen, std::memory_order_relaxed);
    }
    t->rest = RestingState(t);
    t->busy = Busy::kRecording;
    if (t->rest == Busy::kAllocating) {
      t->busy = t->rest;
      t = nullptr;
    }
  }
  errno = saved_errno;
  return t;
}

// -------------------------------------------------------------------------------------------------
// Cells

namespace {

// One page of a section of cells for this thread, and its owner's record.
char* NewPage(Thread* t, SectionId cells, SectionId owners, uint32_t sites) {
  const uint64_t at = g_region.Reserve(cells, 1);
  if (at == Region::kNone || !g_region.ReserveUpTo(owners, at + 1)) return nullptr;
  auto* owner = g_region.At<CellOwner>(owners, at);
  owner->thread = t->slot;
  std::atomic_ref<uint32_t>(owner->sites).store(sites + 1, std::memory_order_release);
  return g_region.At<char>(cells, at);
}

}  // namespace

// This thread's cells of the site's block, made on first use.
__attribute__((noinline)) char* NewCells(Thread* t, uint32_t site) {
  const int saved_errno = errno;
  char** place = t->pages + site / kSitesPerBlock;
  if (IsBusySite(site)) {
    *place = NewPage(t, kCells, kCellOwners, (site - kFirstBusySite) / kSitesPerBlock);
  } else {
    const uint32_t group = site / kSitesPerSmallPage;
    char* page = NewPage(t, kSmallCells, kSmallOwners, group);
    for (uint32_t i = 0; page != nullptr && i < kBlocksPerSmallPage; i++) {
      t->pages[group * kBlocksPerSmallPage + i] = page + i * sizeof(SmallBlock);
    }
  }
  errno = saved_errno;
  return *place;
}

// -------------------------------------------------------------------------------------------------
// Totals and peak

__attribute__((noinline)) void NewPeak(int64_t total) {
  Header* h = g_region.header();
  const int64_t slack = g_peak_slack.load(std::memory_order_relaxed);
  if (slack == 0) {  // alone, or one at a time: no other thread writes these
    h->peak.store(total, std::memory_order_relaxed);
    h->peak_trigger.store(total, std::memory_order_relaxed);
    const uint32_t epoch = h->peak_epoch.load(std::memory_order_relaxed);
    h->peak_epoch.store(epoch + 1, std::memory_order_relaxed);
    return;
  }
  int64_t peak = h->peak.load(std::memory_order_relaxed);
  while (total > peak) {
    if (h->peak.compare_exchange_weak(peak, total, std::memory_order_relaxed)) {
      h->peak_trigger.store(total + slack, std::memory_order_relaxed);
      h->peak_epoch.fetch_add(1, std::memory_order_relaxed);
      h->peak_boot_ns.store(g_now_ns.load(std::memory_order_relaxed), std::memory_order_relaxed);
      return;
    }
  }
}

__attribute__((noinline)) void FlushTotal(Thread* t) {
  Header* h = g_region.header();
  const int64_t bytes = t->record->unflushed_bytes;
  if (bytes < 0) {
    const int64_t total = TotalNow();
    if (total > h->peak_trigger.load(std::memory_order_relaxed)) NewPeak(total);
  }
  h->shared_total.fetch_add(bytes, std::memory_order_relaxed);
  t->record->unflushed_bytes = 0;
}

// -------------------------------------------------------------------------------------------------
// Timeline

namespace {

TimelinePoint* Points() {
  return reinterpret_cast<TimelinePoint*>(reinterpret_cast<char*>(g_region.header()) +
                                          kHeaderBytes);
}

// Neighbours become one point, and the step doubles.
void HalveTimeline(Timeline* timeline) {
  TimelinePoint* points = Points();
  for (uint32_t i = 0; i + 1 < timeline->count; i += 2) {
    TimelinePoint merged = points[i];
    const TimelinePoint& next = points[i + 1];
    if (next.live_bytes_min < merged.live_bytes_min) merged.live_bytes_min = next.live_bytes_min;
    if (next.live_bytes_max > merged.live_bytes_max) merged.live_bytes_max = next.live_bytes_max;
    points[i / 2] = merged;
  }
  timeline->count /= 2;
  timeline->step_ns *= 2;
}

void AddPoint(uint64_t elapsed, int64_t live) {
  Timeline* timeline = &g_region.header()->timeline;
  TimelinePoint* points = Points();
  if (timeline->count == kTimelinePoints) HalveTimeline(timeline);
  TimelinePoint* last = timeline->count > 0 ? &points[timeline->count - 1] : nullptr;
  if (last != nullptr && elapsed < last->elapsed_ns + timeline->step_ns) {
    if (live < last->live_bytes_min) last->live_bytes_min = live;
    if (live > last->live_bytes_max) last->live_bytes_max = live;
    return;
  }
  points[timeline->count] = {elapsed, live, live, 0};
  timeline->count++;
}

}  // namespace

__attribute__((noinline)) void Tick(Thread* t) {
  t->until_tick = Thread::kTick;
  if (g_ticking.exchange(true, std::memory_order_acquire)) return;
  Header* h = g_region.header();
  const uint64_t now = os::BootNanos();
  g_now_ns.store(now, std::memory_order_relaxed);
  std::atomic<uint64_t>& seq = h->timeline.seq;
  seq.store(seq.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  AddPoint(now - h->start_boot_ns, TotalNow());
  seq.store(seq.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  g_ticking.store(false, std::memory_order_release);
}

// -------------------------------------------------------------------------------------------------
// Events, the slow way

namespace {

// An allocation that could not be counted: one event, whichever part of it failed.
void LoseAlloc(uint32_t site, uint64_t bytes) {
  const bool no_ids = site == 0 && SiteIdsUsedUp();
  g_region.CountLoss(no_ids ? Loss::kSiteIds : Loss::kRegionFull, bytes);
}

bool IsTracking() { return g_tracking.load(std::memory_order_relaxed); }

void MeterAlloc(Thread* t, uint64_t allocated) {
  Meter& m = t->meter;
  if (t->pauses != 0) {
    m.paused_bytes -= static_cast<int64_t>(allocated);
    return;
  }
  m.allocated_blocks++;
  m.allocated_bytes += static_cast<int64_t>(allocated);
  const int64_t net = m.allocated_bytes - m.freed_bytes;
  if (net > m.peak_bytes) m.peak_bytes = net;
}

void MeterFree(Thread* t, uint64_t freed) {
  Meter& m = t->meter;
  if (t->pauses != 0) {
    m.paused_bytes += static_cast<int64_t>(freed);
    return;
  }
  m.freed_blocks++;
  m.freed_bytes += static_cast<int64_t>(freed);
}

// A block of ours is in the new one's way though it was never seen freed (freed by code that does
// not go through the hooks). It is gone for certain: its memory has been handed out again.
void FreeStale(Thread* t, const void* p, uint64_t bytes) {
  while (const void* stale = g_live_table.Stale(p, bytes)) {
    RecordFree(t, g_live_table.Take(stale), t);  // t: no block's address, so never temporary
  }
}

}  // namespace

uint32_t RoomySite(Thread* t, uint32_t site, uint64_t bytes) {
  if (site == 0 || IsBusySite(site)) return site;
  char* cells = CellsOf(t, site);
  if (cells == nullptr) return 0;
  const uint64_t sum = SmallCellOf(cells, site)->alloc + (bytes << 8 | 1);
  return (sum & kSmallOverflow) == 0 && bytes <= kSmallBytes ? site : BusySite(t, site);
}

// A first block of its page, one whose small cell is full, a size that is not in the slot's code,
// an address outside the flat table, an exact peak, ...
__attribute__((noinline)) void RecordAllocSlow(Thread* t, const void* p, uint64_t bytes,
                                               uint32_t site) {
  site = RoomySite(t, site, bytes);
  char* cells = site != 0 ? CellsOf(t, site) : nullptr;
  FreeStale(t, p, bytes);
  if (cells == nullptr) {
    LoseAlloc(site, bytes);
    return;
  }
  if (!g_live_table.Put(p, site, bytes)) {
    g_region.CountLoss(Loss::kLiveTable, bytes);
    return;
  }
  ExactPeakLock lock;
  CountAlloc(cells, site, bytes);
  AddTotal(t, static_cast<int64_t>(bytes));
  if (t->meters != 0) MeterAlloc(t, bytes);
  if (IsTracking()) Track(site, static_cast<int64_t>(bytes));
  t->last_block = p;
  if (--t->until_tick == 0) Tick(t);
}

__attribute__((noinline)) void PutOver(Thread* t, const void* p, uint32_t site, uint64_t bytes) {
  FreeStale(t, p, bytes);
  g_live_table.Put(p, site, bytes);
}

__attribute__((noinline)) void RecordFree(Thread* t, const LiveTable::Block& block, const void* p) {
  if (block.IsMarked()) Retire(block);
  if (block.site == 0) return;
  char* cells = CellsOf(t, block.site);
  if (cells == nullptr) {
    g_region.CountLoss(Loss::kRegionFull, 0);
    return;
  }
  ExactPeakLock lock;
  CheckPeak(t);
  CountFree(cells, block.site, block.bytes, p == t->last_block);
  if (p == t->last_block) t->last_block = nullptr;
  AddTotal(t, -static_cast<int64_t>(block.bytes));
  if (t->meters != 0) MeterFree(t, block.bytes);
  if (IsTracking()) Track(block.site, -static_cast<int64_t>(block.bytes));
}

__attribute__((noinline)) void RecordReallocSlow(Thread* t, const LiveTable::Block& old,
                                                 const void* old_p, const void* p, uint64_t bytes,
                                                 uint32_t site) {
  if (old.site == 0) {
    RecordAllocSlow(t, p, bytes, site);
    return;
  }
  site = RoomySite(t, site, bytes);
  char* to = site != 0 ? CellsOf(t, site) : nullptr;
  char* from = CellsOf(t, old.site);
  FreeStale(t, p, bytes);
  if (__builtin_expect(to == nullptr || from == nullptr, 0)) {
    LoseAlloc(site, bytes);
    if (from != nullptr) RecordFree(t, old, old_p);
    return;
  }
  if (__builtin_expect(!g_live_table.Put(p, site, bytes), 0)) {
    g_region.CountLoss(Loss::kLiveTable, bytes);
    RecordFree(t, old, old_p);
    return;
  }
  ExactPeakLock lock;
  if (bytes < old.bytes) CheckPeak(t);
  CountAlloc(to, site, bytes);
  CountFree(from, old.site, old.bytes, false);
  AddTotal(t, static_cast<int64_t>(bytes) - static_cast<int64_t>(old.bytes));
  if (t->meters != 0) {
    MeterFree(t, old.bytes);  // one step, as for the total: no peak is invented
    MeterAlloc(t, bytes);
  }
  if (IsTracking()) {
    Track(old.site, -static_cast<int64_t>(old.bytes));
    Track(site, static_cast<int64_t>(bytes));
  }
  t->last_block = p;
  if (--t->until_tick == 0) Tick(t);
}

void Retire(const LiveTable::Block& block) {
  if (block.holds_code) g_stale.fetch_add(1, std::memory_order_acq_rel);
  if (block.thread_state != nullptr) RetireThreadState(block.thread_state);
}

}  // namespace memtrace
