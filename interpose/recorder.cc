// The recorder's slow paths: threads, cell pages, totals, the timeline. Starting and forking are in
// lifecycle.cc.

#include "interpose/recorder.h"

#include <errno.h>
#include <string.h>

#include "interpose/lifecycle.h"
#include "interpose/os/os.h"
#include "interpose/python/hooks.h"
#include "interpose/threads.h"

namespace memtrace {

constinit GatePage* g_gate = nullptr;
thread_local constinit Thread* t_thread = nullptr;
constinit std::atomic<int64_t> g_peak_slack{0};
constinit std::atomic<uint32_t> g_stale{0};

namespace {
constinit std::atomic<uint64_t> g_now_ns{0};  // boot clock at the last tick
constinit std::atomic<bool> g_ticking{false};
}  // namespace

__attribute__((noinline)) Thread* EnterSlow() {
  const int saved_errno = errno;
  Thread* t = nullptr;
  if (OpenGate()) {
    t = t_thread != nullptr ? t_thread : ClaimThread();
    if (t != nullptr && t->busy == Busy::kIdle &&
        g_gate->state.load(std::memory_order_relaxed) == Gate::kWatching) {
      t->busy = Busy::kAllocating;  // what CPython allocates for the hooks is not the program's
      if (python::Watch()) g_gate->state.store(Gate::kOpen, std::memory_order_relaxed);
      t->busy = Busy::kIdle;
    }
  }
  errno = saved_errno;
  return t;
}

// The page of cells of this thread for the site's block, made on first use.
__attribute__((noinline)) Cell* NewCellPage(Thread* t, uint32_t site) {
  const int saved_errno = errno;
  Cell* page = nullptr;
  const uint64_t at = g_region.Reserve(kCells, 1);
  if (at != Region::kNone && g_region.ReserveUpTo(kCellOwners, at + 1)) {
    const uint32_t block = site / kSitesPerBlock;
    page = g_region.At<Cell>(kCells, at);
    auto* owner = g_region.At<CellOwner>(kCellOwners, at);
    owner->thread = t->slot;
    std::atomic_ref<uint32_t>(owner->site_block).store(block + 1, std::memory_order_release);
    t->pages[block] = page;
  }
  errno = saved_errno;
  return page;
}

// -------------------------------------------------------------------------------------------------
// Totals and peak

__attribute__((noinline)) void RaisePeak(int64_t total) {
  Header* h = g_region.header();
  int64_t peak = h->peak.load(std::memory_order_relaxed);
  while (total > peak) {
    if (h->peak.compare_exchange_weak(peak, total, std::memory_order_relaxed)) {
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
    const int64_t peak = h->peak.load(std::memory_order_relaxed);
    if (total > peak + g_peak_slack.load(std::memory_order_relaxed)) RaisePeak(total);
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
    merged.events = next.events;
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

__attribute__((noinline)) void Tick() {
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

// A block of ours starts here though another was never seen freed (freed by code that does not go
// through the hooks). It is gone for certain: its memory has been handed out again.
__attribute__((noinline)) void RecordStale(Thread* t, uint32_t* slot) {
  RecordFree(t, LiveTable::Take(slot), t);  // t: no block's address, so never temporary
}

// An allocation that could not be counted: one event, whichever part of it failed.
__attribute__((noinline)) void LoseAlloc(const uint32_t* slot, uint32_t site, uint64_t bytes) {
  Loss reason = Loss::kRegionFull;
  if (slot == nullptr) {
    reason = Loss::kLiveTable;
  } else if (site == 0 && g_region.header()->sections[kSites].used.load(
                              std::memory_order_relaxed) >= Thread::kMaxSites) {
    reason = Loss::kSiteIds;
  }
  g_region.CountLoss(reason, bytes);
}

// A first block of its site's page, a size of 4 GiB and more, an address outside the flat table,
// ...
void RecordAllocSlow(Thread* t, const void* p, uint64_t bytes, uint32_t site) {
  Cell* c = site != 0 ? CellOf(t, site) : nullptr;
  uint32_t* slot = g_live_table.Slot(p);
  if (c == nullptr || slot == nullptr) {
    LoseAlloc(slot, site, bytes);
    return;
  }
  if (LiveTable::Occupied(slot)) RecordStale(t, slot);
  {
    Event event(t);
    CountAlloc(c, bytes);
    AddTotal(t, static_cast<int64_t>(bytes));
  }
  t->last_block = p;
  LiveTable::Put(slot, site, bytes);
}

void RetireCode() { g_stale.fetch_add(1, std::memory_order_acq_rel); }

}  // namespace memtrace
