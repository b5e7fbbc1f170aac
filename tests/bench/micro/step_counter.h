// Counts the instructions that a piece of this process executes, one by one: the processor traps
// after each (its trap flag), and a signal handler adds one.
//
// Why not a simulator: Valgrind gives a program 128 GiB of addresses, and the live table alone
// reserves 32 TiB. Why not the processor's counters: few virtual machines let a program read them.
// This way the program is what it always is, and needs no permission; a million instructions take
// about two seconds.
//
// One thread only. Each step of a `rep` instruction counts. The count is the same in every run.

#ifndef MEMTRACE_TESTS_BENCH_MICRO_STEP_COUNTER_H_
#define MEMTRACE_TESTS_BENCH_MICRO_STEP_COUNTER_H_

#include <cstdint>

namespace memtrace::bench {

// Whether the system lets a program trace itself; to be called before the first count.
bool CanCountSteps();

void StartSteps();
// Instructions since StartSteps, those of the two calls left out.
uint64_t StopSteps();

}  // namespace memtrace::bench

#endif  // MEMTRACE_TESTS_BENCH_MICRO_STEP_COUNTER_H_
