#ifndef MEMTRACE_INTERPOSE_HOT_H_
#define MEMTRACE_INTERPOSE_HOT_H_

// What every event does is part of each hook: the compiler would rather share it among them.
#define MEMTRACE_HOT __attribute__((always_inline)) inline

#endif  // MEMTRACE_INTERPOSE_HOT_H_
