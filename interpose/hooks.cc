#include "interpose/hooks.h"

namespace memtrace {

// A free that comes while something else is under way (in a forked child, before the thread is
// known, inside the real allocator, in a signal handler), or of an uncommon block.
__attribute__((noinline)) void RecordedFreeSlow(void* p) {
  if (!g_live_table.Holds(p)) return;
  Thread* t = t_thread;
  if (t != nullptr && t->busy == Busy::kAllocating) {
    t->busy = Busy::kRecording;
    RecordFree(t, g_live_table.Take(p), p);
    t->busy = Busy::kAllocating;
    return;
  }
  t = EnterReady();
  if (t == nullptr) {
    const LiveTable::Block block = g_live_table.Take(p);
    if (block.IsMarked()) Retire(block);  // gone, though not counted
    return;
  }
  RecordFree(t, g_live_table.Take(p), p);
  Leave(t);
}

// Whether the block was ours, or marked.
__attribute__((noinline)) bool TakeSlow(const void* p, LiveTable::Block* block) {
  if (!g_live_table.Holds(p)) return false;
  *block = g_live_table.Take(p);
  return true;
}

__attribute__((noinline)) void ReallocFailed(Thread* t, const LiveTable::Block& old, const void* p,
                                             bool freed) {
  if (freed) {
    RecordFree(t, old, p);
  } else if (old.site != 0) {
    g_live_table.Put(p, old.site, old.bytes);  // the old block lives on
  }
}

}  // namespace memtrace
