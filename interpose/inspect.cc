// What inspect.h offers about recording, threads and generations, over the running recorder.

#define MEMTRACE_BUILDING_LIBRARY
#include "interpose/inspect.h"

#include <errno.h>
#include <stddef.h>

#include "interpose/api_error.h"
#include "interpose/cells.h"
#include "interpose/generations.h"
#include "interpose/lifecycle.h"
#include "interpose/os/os.h"
#include "interpose/real.h"
#include "interpose/recorder.h"
#include "interpose/threads.h"
#include "interpose/tracked.h"

namespace memtrace {
namespace {

// The calling thread, made known if it has not allocated yet; nullptr: not tracing.
Thread* ThisThread() {
  if (t_thread != nullptr && t_thread->busy != Busy::kClosed) return t_thread;
  const int saved_errno = errno;
  Thread* t = EnterReady();
  if (t != nullptr) Leave(t);
  errno = saved_errno;
  return t_thread;
}

}  // namespace
}  // namespace memtrace

using namespace memtrace;

int memtrace_sees_malloc(void) {
  return os::ComesBefore(reinterpret_cast<const void*>(&memtrace_sees_malloc),
                         reinterpret_cast<const void*>(g_real.malloc));
}

int memtrace_stop(void) {
  ClearError();
  if (!IsRecording()) return NotTracing();
  g_stopped.store(true, std::memory_order_relaxed);
  RestAs(Busy::kAllocating);
  if (Thread* t = ThisThread()) t->busy = t->rest = Busy::kAllocating;
  return 0;
}

int memtrace_start(void) {
  ClearError();
  if (!IsRecording()) return NotTracing();
  g_stopped.store(false, std::memory_order_relaxed);
  if (Thread* t = ThisThread()) Rest(t);
  return 0;
}

void memtrace_pause(void) {
  Thread* t = ThisThread();
  if (t == nullptr) return;
  t->pauses++;
  Rest(t);
}

void memtrace_resume(void) {
  Thread* t = ThisThread();
  if (t == nullptr || t->pauses == 0) return;
  t->pauses--;
  Rest(t);
}

int64_t memtrace_total_bytes(void) { return IsRecording() ? TotalNow() + UnflushedBytes() : -1; }

memtrace_meter* memtrace_meter_start(void) {
  Thread* t = IsRecording() ? ThisThread() : nullptr;
  if (t == nullptr) return nullptr;
  if (t->meters++ == 0) t->meter = {};
  Rest(t);
  static_assert(sizeof(memtrace_meter) == sizeof(Meter) &&
                offsetof(memtrace_meter, peak_bytes) == offsetof(Meter, peak_bytes));
  return reinterpret_cast<memtrace_meter*>(&t->meter);
}

void memtrace_meter_stop(void) {
  Thread* t = ThisThread();
  if (t == nullptr || t->meters == 0) return;
  t->meters--;
  Rest(t);
}

int64_t memtrace_new_generation(void) {
  if (!IsRecording()) return -1;
  const int64_t first = NewGeneration();
  if (Thread* t = ThisThread()) RenewSites(t);
  return first;
}

// The cells' sums; what threads do meanwhile may be missing.
int memtrace_track(int64_t generation) {
  ClearError();
  if (!IsRecording()) return NotTracing();
  int64_t current, peak, blocks;
  memtrace_tracked(generation, &current, &peak, &blocks);
  BeginTracking(generation, {current, peak});
  if (!g_stopped.load(std::memory_order_relaxed)) RestAs(Busy::kClosed);
  if (Thread* t = ThisThread()) Rest(t);
  return 0;
}

void memtrace_untrack(void) { EndTracking(); }

int memtrace_tracked_bytes(int64_t* current, int64_t* peak) {
  ClearError();
  if (!IsRecording()) return NotTracing();
  const TrackedBytes now = TrackedNow();
  *current = now.current;
  *peak = now.peak;
  return 0;
}

void memtrace_reset_tracked_peak(void) { ResetTrackedPeak(); }

int memtrace_tracked(int64_t generation, int64_t* current_bytes, int64_t* peak_bytes,
                     int64_t* current_blocks) {
  ClearError();
  if (!IsRecording()) return NotTracing();
  const Header* h = g_region.header();
  const bool at_peak = TotalNow() > h->peak.load(std::memory_order_relaxed);
  const uint32_t epoch = h->peak_epoch.load(std::memory_order_relaxed);
  int64_t live = 0, saved = 0, blocks = 0;
  EachCell([&](uint32_t site, const CellFigures& figures) {
    const bool kept = !at_peak && figures.epoch == epoch;
    const int64_t then = kept ? figures.saved_bytes : figures.live_bytes;
    if (figures.live_objects == 0 && figures.live_bytes == 0 && then == 0) return;
    if (!IsSince(site, generation) || TrackedOf(site) < 0) return;
    live += figures.live_bytes;
    blocks += figures.live_objects;
    saved += then;
  });
  *current_bytes = live;
  *peak_bytes = saved > live ? saved : live;
  *current_blocks = blocks;
  return 0;
}
