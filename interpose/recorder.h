// The recorder: turns allocation events into counters. Hooks call it; it calls nobody back.
//
//   Thread* t = Enter();                 // nullptr: not ours to record, just call the allocator
//   uint32_t site = SiteHere(t, ...);    // before the real call: the stack is the caller's
//   t->busy = kAllocating; p = real();   // inner allocations are part of this one
//   RecordAlloc(t, p, bytes, site);
//
// Hot path: no lock, no allocation, no system call, no CPython API beyond the thread's own state.
// errno is kept: only slow paths make system calls, and they save it.
//
// Counting order (core/layout.h, invariants 4-6): seq odd, cell, totals, seq even. An allocation is
// counted before anyone can free the block, a free before its address can be handed out again.

#ifndef MEMTRACE_INTERPOSE_RECORDER_H_
#define MEMTRACE_INTERPOSE_RECORDER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/layout.h"
#include "interpose/live_table.h"
#include "interpose/region.h"
#include "interpose/thread.h"

namespace memtrace {

enum class Gate : uint32_t {
  kClosed = 0,  // not started, or this is a forked child that has not been set up
  kOpen = 1,
  kWatching = 2,  // open, and Python's allocators may be replaced under us until it is initialised
  kOff = 3,
};

struct GatePage {
  std::atomic<Gate> state;
};
extern constinit GatePage* g_gate;  // reads as kClosed in a forked child

extern thread_local constinit Thread* t_thread __attribute__((tls_model("initial-exec")));

// Bytes that the total must exceed the peak by before a new peak is declared: 0 with one thread.
extern constinit std::atomic<int64_t> g_peak_slack;

// Slow paths of the functions below.
Thread* EnterSlow();
Cell* NewCellPage(Thread* t, uint32_t site);
void FlushTotal(Thread* t);
void RaisePeak(int64_t total);
void Tick();
void RecordStale(Thread* t, uint32_t* slot);
void LoseAlloc(const uint32_t* slot, uint32_t site, uint64_t bytes);
void RetireCode();

inline Thread* Enter() {
  Thread* t = t_thread;
  if (__builtin_expect(t == nullptr || g_gate == nullptr ||
                           g_gate->state.load(std::memory_order_relaxed) != Gate::kOpen,
                       0)) {
    t = EnterSlow();
    if (t == nullptr) return nullptr;
  }
  if (__builtin_expect(t->busy != Busy::kIdle, 0)) {
    if (t->busy == Busy::kRecording) g_region.CountLoss(Loss::kReentrant, 0);
    return nullptr;
  }
  t->busy = Busy::kRecording;
  return t;
}

inline void Leave(Thread* t) { t->busy = Busy::kIdle; }

inline Cell* CellOf(Thread* t, uint32_t site) {
  Cell* page = t->pages[site / kSitesPerBlock];
  if (__builtin_expect(page == nullptr, 0)) {
    page = NewCellPage(t, site);
    if (page == nullptr) return nullptr;
  }
  return page + site % kSitesPerBlock;
}

// Opens and closes one event for readers. The owner is the only writer, so plain adds do.
class Event {
 public:
  explicit Event(Thread* t) : seq_(t->record->seq) {
    seq_.store(seq_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
  }
  ~Event() {
    const uint64_t next = seq_.load(std::memory_order_relaxed) + 1;
    seq_.store(next, std::memory_order_release);
    if (__builtin_expect((next & 1023) == 0, 0)) Tick();
  }

 private:
  std::atomic<uint64_t>& seq_;
};

// The cell's live figure as it was when the present peak epoch began (lazy epochs).
inline void KeepPeak(Cell* c) {
  const uint32_t epoch = g_region.header()->peak_epoch.load(std::memory_order_relaxed);
  if (__builtin_expect(c->epoch != epoch, 0)) {
    c->saved_bytes = static_cast<int64_t>(c->alloc_bytes - c->free_bytes);
    c->saved_objects = static_cast<int32_t>(c->alloc_objects - c->free_objects);
    c->epoch = epoch;
  }
}

inline int64_t TotalNow() {
  Header* h = g_region.header();
  return h->owner_total.load(std::memory_order_relaxed) +
         h->shared_total.load(std::memory_order_relaxed);
}

// Called before the total shrinks: was this the highest ever?
inline void CheckPeak(Thread* t) {
  if (!t->owns_total) return;  // others look when they flush
  Header* h = g_region.header();
  const int64_t total = TotalNow();
  const int64_t slack = g_peak_slack.load(std::memory_order_relaxed);
  if (__builtin_expect(total <= h->peak.load(std::memory_order_relaxed) + slack, 1)) return;
  if (slack != 0) {
    RaisePeak(total);
    return;
  }
  // Alone: no other thread writes these.
  h->peak.store(total, std::memory_order_relaxed);
  h->peak_epoch.store(h->peak_epoch.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

inline void AddTotal(Thread* t, int64_t bytes) {
  Header* h = g_region.header();
  if (__builtin_expect(t->owns_total, 1)) {
    h->owner_total.store(h->owner_total.load(std::memory_order_relaxed) + bytes,
                         std::memory_order_relaxed);
    return;
  }
  t->record->unflushed_bytes += bytes;
  if (__builtin_expect(
          t->record->unflushed_bytes > kFlushBytes || t->record->unflushed_bytes < -kFlushBytes,
          0)) {
    FlushTotal(t);
  }
}

inline void CountAlloc(Cell* c, uint64_t bytes) {
  KeepPeak(c);
  c->alloc_objects++;
  c->alloc_bytes += bytes;
}

inline void CountFree(Thread* t, Cell* c, uint64_t bytes, const void* p) {
  KeepPeak(c);
  if (p == t->last_block) {
    c->temporary_objects++;
    c->temporary_bytes += bytes;
    t->last_block = nullptr;
  }
  c->free_objects++;
  c->free_bytes += bytes;
}

__attribute__((noinline)) void RecordAllocSlow(Thread* t, const void* p, uint64_t bytes,
                                               uint32_t site);

// A block of `bytes` at p now exists. site 0: the site could not be made; the event is lost.
__attribute__((always_inline)) inline void RecordAlloc(Thread* t, const void* p, uint64_t bytes,
                                                       uint32_t site) {
  uint32_t* slot = g_live_table.FastSlot(p);
  Cell* page = t->pages[site / kSitesPerBlock];  // none for site 0
  if (__builtin_expect(slot == nullptr || page == nullptr || bytes > 0xffffffffu, 0) ||
      __builtin_expect(LiveTable::Occupied(slot), 0)) {
    RecordAllocSlow(t, p, bytes, site);
    return;
  }
  {
    Event event(t);
    CountAlloc(page + site % kSitesPerBlock, bytes);
    AddTotal(t, static_cast<int64_t>(bytes));
  }
  t->last_block = p;
  LiveTable::PutSmall(slot, site, static_cast<uint32_t>(bytes));
}

// The block taken from the table is about to be freed.
inline void RecordFree(Thread* t, const LiveTable::Block& block, const void* p) {
  if (__builtin_expect(block.holds_code, 0)) RetireCode();
  if (block.site == 0) return;
  Cell* c = CellOf(t, block.site);
  if (__builtin_expect(c == nullptr, 0)) {
    g_region.CountLoss(Loss::kRegionFull, 0);
    return;
  }
  CheckPeak(t);
  Event event(t);
  CountFree(t, c, block.bytes, p);
  AddTotal(t, -static_cast<int64_t>(block.bytes));
}

// A block became another one, in place or not: one step of the total, so no peak is invented.
inline void RecordRealloc(Thread* t, const LiveTable::Block& old, const void* old_p, const void* p,
                          uint64_t bytes, uint32_t site) {
  if (old.site == 0) {
    RecordAllocSlow(t, p, bytes, site);
    return;
  }
  Cell* to = site != 0 ? CellOf(t, site) : nullptr;
  Cell* from = CellOf(t, old.site);
  uint32_t* slot = g_live_table.Slot(p);
  if (__builtin_expect(to == nullptr || from == nullptr || slot == nullptr, 0)) {
    g_region.CountLoss(Loss::kRegionFull, bytes);
    if (from != nullptr) RecordFree(t, old, old_p);
    return;
  }
  if (__builtin_expect(LiveTable::Occupied(slot), 0)) RecordStale(t, slot);
  if (bytes < old.bytes) CheckPeak(t);
  {
    Event event(t);
    CountAlloc(to, bytes);
    CountFree(t, from, old.bytes, t);  // t: no block's address, so never temporary
    AddTotal(t, static_cast<int64_t>(bytes) - static_cast<int64_t>(old.bytes));
  }
  t->last_block = p;
  LiveTable::Put(slot, site, bytes);
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_RECORDER_H_
