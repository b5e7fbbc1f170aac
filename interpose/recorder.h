// The recorder: turns allocation events into counters. Hooks call it; it calls nobody back.
//
//   Thread* t = Enter();                 // nullptr: not ours to record, just call the allocator
//   uint32_t site = place.Site(t);       // before the real call: the stack is the caller's
//   t->busy = kAllocating; p = real();   // inner allocations are part of this one
//   RecordAlloc(t, p, bytes, site);
//
// Hot path: no lock, no allocation, no system call, no CPython API beyond the thread's own state.
// errno is kept: only slow paths make system calls, and they save it.
//
// Each event has a fast way, inline, for a thread that is set up and a block of the common kind,
// and a slow way that does everything (recorder.cc). With an exact peak every event is slow: a
// thread then rests in kClosed, and counting is done under a lock. It does so, too, where there was
// no room for a flat live table, and while its own events are metered or tracked.
//
// Counting order (core/layout.h, invariants 4-6): an allocation is counted before anyone can free
// the block, a free before its address can be handed out again.

#ifndef MEMTRACE_INTERPOSE_RECORDER_H_
#define MEMTRACE_INTERPOSE_RECORDER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/layout.h"
#include "interpose/hot.h"
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

// MEMTRACE_EXACT_PEAK: the total is counted at each event of every thread, one at a time.
extern constinit bool g_exact_peak;

// Slow paths of the functions below.
Thread* EnterSlow(uintptr_t caller);
char* NewCells(Thread* t, uint32_t site);
void FlushTotal(Thread* t);
void NewPeak(int64_t total);
void Tick(Thread* t);
// The block was marked: a code object, or a Python thread state.
void Retire(const LiveTable::Block& block);
// The site to count one more block at: the same, or the busy one of the same place. 0: none.
uint32_t RoomySite(Thread* t, uint32_t site, uint64_t bytes);
void RecordAllocSlow(Thread* t, const void* p, uint64_t bytes, uint32_t site);
// The block, counted already, goes into the table: a large one, or one in whose way are others that
// must be gone.
__attribute__((cold)) void PutOver(Thread* t, const void* p, uint32_t site, uint64_t bytes);
// The block taken from the table is about to be freed.
void RecordFree(Thread* t, const LiveTable::Block& block, const void* p);
void RecordReallocSlow(Thread* t, const LiveTable::Block& old, const void* old_p, const void* p,
                       uint64_t bytes, uint32_t site);

// In a forked child: nobody is counting.
void ResetExactPeak();

// Allocations are not recorded (memtrace_stop).
extern constinit std::atomic<bool> g_stopped;
// What `busy` is to be between the thread's events.
Busy RestingState(const Thread* t);
// The same from now on, for the calling thread between two events: what it depends on has changed.
void Rest(Thread* t);
// The calling thread when it allocates though nothing is to be recorded; nullptr: otherwise.
Thread* UnseenThread();

// From an allocator outside Python; caller: who called it, 0: does not matter.
MEMTRACE_HOT Thread* Enter(uintptr_t caller = 0) {
  Thread* t = t_thread;
  if (__builtin_expect(t == nullptr || t->busy != Busy::kIdle, 0)) return EnterSlow(caller);
  t->busy = Busy::kRecording;
  return t;
}

// From one of Python's, or with a block that ends.
MEMTRACE_HOT Thread* EnterReady() {
  Thread* t = t_thread;
  if (__builtin_expect(t == nullptr || !IsReady(t->busy), 0)) return EnterSlow(0);
  t->busy = Busy::kRecording;
  return t;
}

MEMTRACE_HOT void Leave(Thread* t) { t->busy = t->rest; }

// -------------------------------------------------------------------------------------------------
// Cells

typedef uint64_t Pair __attribute__((vector_size(16), may_alias));

// One aligned store of 16 bytes, which is seen as a whole (x86-64 with AVX says so; so does
// ARMv8.4).
MEMTRACE_HOT void Add(Count* count, uint64_t bytes) {
  *reinterpret_cast<Pair*>(count) += Pair{1, bytes};
}

inline char* CellsOf(Thread* t, uint32_t site) {
  char* cells = t->pages[site / kSitesPerBlock];
  return __builtin_expect(cells != nullptr, 1) ? cells : NewCells(t, site);
}
MEMTRACE_HOT Cell* FullCell(char* cells, uint32_t site) {
  return reinterpret_cast<CellPage*>(cells)->cells + site % kSitesPerBlock;
}
MEMTRACE_HOT SmallCell* SmallCellOf(char* cells, uint32_t site) {
  return reinterpret_cast<SmallBlock*>(cells)->cells + site % kSitesPerBlock;
}

// The cell's live figure as it was when the present peak epoch began (lazy epochs).
MEMTRACE_HOT void KeepPeak(Cell* c) {
  const uint32_t epoch = g_region.header()->peak_epoch.load(std::memory_order_relaxed);
  if (__builtin_expect(c->saved.epoch == epoch, 1)) return;
  const uint64_t objects = c->alloc.objects - c->free.objects;
  *reinterpret_cast<Pair*>(&c->saved) =
      Pair{c->alloc.bytes - c->free.bytes, (objects & 0xffffffff) | uint64_t{epoch} << 32};
}

inline void KeepSmallPeak(char* cells, SmallCell* c, uint32_t site) {
  const uint32_t epoch = g_region.header()->peak_epoch.load(std::memory_order_relaxed);
  uint32_t& saved_epoch = reinterpret_cast<SmallBlock*>(cells)->epochs[site % kSitesPerBlock];
  if (__builtin_expect(saved_epoch == epoch, 1)) return;
  const auto objects = static_cast<int64_t>(c->alloc & 0xff) - (c->free & 0xff);
  const auto bytes = static_cast<int64_t>(c->alloc >> 8) - (c->free >> 8);
  c->saved = PackSmall(objects, bytes);
  std::atomic_ref<uint32_t>(saved_epoch).store(epoch, std::memory_order_release);
}

// False: the small cell has no room for one more block.
MEMTRACE_HOT bool CountAlloc(char* cells, uint32_t site, uint64_t bytes) {
  if (__builtin_expect(IsBusySite(site), 1)) {
    Cell* c = FullCell(cells, site);
    KeepPeak(c);
    Add(&c->alloc, bytes);
    return true;
  }
  SmallCell* c = SmallCellOf(cells, site);
  const uint64_t sum = c->alloc + (bytes << 8 | 1);
  if (__builtin_expect((sum & kSmallOverflow) != 0 || bytes > kSmallBytes, 0)) return false;
  KeepSmallPeak(cells, c, site);
  std::atomic_ref<uint32_t>(c->alloc).store(static_cast<uint32_t>(sum), std::memory_order_relaxed);
  return true;
}

MEMTRACE_HOT void CountFree(char* cells, uint32_t site, uint64_t bytes, bool temporary) {
  if (__builtin_expect(IsBusySite(site), 1)) {
    Cell* c = FullCell(cells, site);
    KeepPeak(c);
    if (temporary) Add(&c->temporary, bytes);
    Add(&c->free, bytes);
    return;
  }
  SmallCell* c = SmallCellOf(cells, site);
  KeepSmallPeak(cells, c, site);
  const auto one = static_cast<uint32_t>(bytes << 8 | 1);
  if (temporary) c->temporary += one;
  std::atomic_ref<uint32_t>(c->free).store(c->free + one, std::memory_order_relaxed);
}

// A part of a block is gone, and the block is not.
inline void CountPart(char* cells, uint32_t site, uint64_t bytes) {
  if (IsBusySite(site)) {
    Cell* c = FullCell(cells, site);
    KeepPeak(c);
    *reinterpret_cast<Pair*>(&c->free) += Pair{0, bytes};
    return;
  }
  SmallCell* c = SmallCellOf(cells, site);
  KeepSmallPeak(cells, c, site);
  const auto part = static_cast<uint32_t>(bytes << 8);
  std::atomic_ref<uint32_t>(c->free).store(c->free + part, std::memory_order_relaxed);
}

// -------------------------------------------------------------------------------------------------
// Totals

MEMTRACE_HOT int64_t TotalNow() {
  Header* h = g_region.header();
  return h->owner_total.load(std::memory_order_relaxed) +
         h->shared_total.load(std::memory_order_relaxed);
}

// Called before the total shrinks: was this the highest ever?
MEMTRACE_HOT void CheckPeak(Thread* t) {
  if (!t->owns_total) return;  // others look when they flush
  const int64_t total = TotalNow();
  if (__builtin_expect(total > g_region.header()->peak_trigger.load(std::memory_order_relaxed),
                       0)) {
    NewPeak(total);
  }
}

MEMTRACE_HOT void AddTotal(Thread* t, int64_t bytes) {
  if (__builtin_expect(t->owns_total, 1)) {
    std::atomic<int64_t>& total = g_region.header()->owner_total;
    total.store(total.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
    return;
  }
  const int64_t sum = t->record->unflushed_bytes + bytes;
  t->record->unflushed_bytes = sum;
  if (__builtin_expect(static_cast<uint64_t>(sum + kFlushBytes) > 2 * kFlushBytes, 0)) {
    FlushTotal(t);
  }
}

// -------------------------------------------------------------------------------------------------
// Events of a thread at work, in the common case

// A block of `bytes` at p now exists. site 0: the site could not be made; the event is lost.
MEMTRACE_HOT void RecordAlloc(Thread* t, const void* p, uint64_t bytes, uint32_t site) {
  uint32_t* slot = g_live_table.FastSlot(p);
  char* cells = t->pages[site / kSitesPerBlock];  // none for site 0
  if (__builtin_expect(cells == nullptr || !IsReady(t->rest) || slot == nullptr, 0) ||
      __builtin_expect(*slot != 0 || g_live_table.NeedsSlow(bytes), 0) ||
      __builtin_expect(!CountAlloc(cells, site, bytes), 0)) {
    RecordAllocSlow(t, p, bytes, site);
    return;
  }
  if (__builtin_expect(!g_live_table.Fill(slot, p, site, bytes), 0)) PutOver(t, p, site, bytes);
  AddTotal(t, static_cast<int64_t>(bytes));
  t->last_block = p;
  if (__builtin_expect(--t->until_tick == 0, 0)) Tick(t);
}

// A block became another one, in place or not: one step of the total, so no peak is invented. `old`
// has been taken from the table; site 0 there: it was not ours.
inline void RecordRealloc(Thread* t, const LiveTable::Block& old, const void* old_p, const void* p,
                          uint64_t bytes, uint32_t site) {
  uint32_t* slot = g_live_table.FastSlot(p);
  char* to = t->pages[site / kSitesPerBlock];
  char* from = t->pages[old.site / kSitesPerBlock];
  if (__builtin_expect(to == nullptr || from == nullptr || slot == nullptr, 0) ||
      __builtin_expect(!IsReady(t->rest) || old.IsMarked(), 0) ||
      __builtin_expect(*slot != 0 || g_live_table.NeedsSlow(bytes), 0)) {
    RecordReallocSlow(t, old, old_p, p, bytes, site);
    return;
  }
  if (bytes < old.bytes) CheckPeak(t);
  if (__builtin_expect(!CountAlloc(to, site, bytes), 0)) {
    RecordReallocSlow(t, old, old_p, p, bytes, site);
    return;
  }
  CountFree(from, old.site, old.bytes, false);
  AddTotal(t, static_cast<int64_t>(bytes) - static_cast<int64_t>(old.bytes));
  t->last_block = p;
  if (__builtin_expect(!g_live_table.Fill(slot, p, site, bytes), 0)) PutOver(t, p, site, bytes);
  if (__builtin_expect(--t->until_tick == 0, 0)) Tick(t);
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_RECORDER_H_
