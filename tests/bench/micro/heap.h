// Blocks that do not exist: addresses that the recorder keeps books on and nobody touches.

#ifndef MEMTRACE_TESTS_BENCH_MICRO_HEAP_H_
#define MEMTRACE_TESTS_BENCH_MICRO_HEAP_H_

#include <cstddef>
#include <cstdint>

namespace memtrace::bench {

inline constexpr uintptr_t kHeap = uintptr_t{16} << 30;
inline constexpr size_t kPitch = 64;

inline void* Block(size_t number) { return reinterpret_cast<void*>(kHeap + number * kPitch); }

// 16 to 79 bytes, always the same for the same block.
inline size_t BytesOf(size_t number) { return 16 + (number * 37 & 63); }

// A permutation of 0..count-1 (a power of two) that jumps far: order in which blocks die.
inline size_t Scattered(size_t i, size_t count) { return (i * 2654435761u + 12345) & (count - 1); }

}  // namespace memtrace::bench

#endif  // MEMTRACE_TESTS_BENCH_MICRO_HEAP_H_
