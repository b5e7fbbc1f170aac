// What the heap of this program holds, and held at most: every malloc and new is counted, with what
// the C library rounds it up to.
//
// Linked in, heap_meter.cc takes the place of the C library's malloc. Under AddressSanitizer, which
// does the same, nothing is counted and HeapIsMetered() is false.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_HEAP_METER_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_HEAP_METER_H_

#include <cstdint>

namespace memtrace::testing {

bool HeapIsMetered();
int64_t HeapNow();
int64_t HeapPeak();  // since the last reset
void ResetHeapPeak();

// The most that was held in addition, while it lives.
class HeapMeter {
 public:
  HeapMeter() : before_(HeapNow()) { ResetHeapPeak(); }
  int64_t Peak() const { return HeapPeak() - before_; }

 private:
  const int64_t before_;
};

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_HEAP_METER_H_
