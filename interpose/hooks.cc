#include "interpose/hooks.h"

namespace memtrace {

// A free that comes while something else is under way (in a forked child, before the thread is
// known, inside the real allocator, in a signal handler), or of an uncommon block.
void RecordedFreeSlow(void* p) {
  uint32_t* slot = g_live_table.Slot(p);
  if (slot == nullptr || !LiveTable::Occupied(slot)) return;
  Thread* t = t_thread;
  if (t == nullptr || t->busy == Busy::kIdle) t = EnterSlow();
  if (t == nullptr || t->busy == Busy::kRecording) {
    LiveTable::Take(slot);
    if (t != nullptr) g_region.CountLoss(Loss::kReentrant, 0);
    return;
  }
  const Busy before = t->busy;
  t->busy = Busy::kRecording;
  RecordFree(t, LiveTable::Take(slot), p);
  t->busy = before;
}

}  // namespace memtrace
