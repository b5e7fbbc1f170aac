// How the live table lies in the traced process's memory: what its keeper (interpose/live_table.h,
// which tells what the words mean) and a reader from outside (tools/read/live_scan.h) agree on.
//
// Header::live_table is the address of LiveShadows there. A reader may find any word changed or
// half done: the process goes on meanwhile.

#ifndef MEMTRACE_CORE_LIVE_SHADOW_H_
#define MEMTRACE_CORE_LIVE_SHADOW_H_

#include <cstdint>

namespace memtrace {

// Addresses of the flat arrays of 32-bit words; 0: there is none. Where address space is scarce
// there is a tree instead, which is not read from outside; what is chosen is the keeper's own.
struct LiveShadows {
  uint64_t coarse;
  uint64_t coarse_chosen;
  uint64_t fine;
  uint64_t fine_chosen;
  uint64_t odd;
  uint64_t odd_chosen;
};

// Bits of a word: site << 8 | half << 7 | size code.
inline constexpr uint32_t kLiveGranule = 32;
inline constexpr int kLiveTagBits = 7;
inline constexpr uint32_t kLiveHalf = 128;
inline constexpr uint32_t kLiveSizeNext = 123;
inline constexpr uint32_t kLiveSizeWide = 124;
inline constexpr uint32_t kLiveCode = 125;
inline constexpr uint32_t kLiveMarker = 126;
inline constexpr uint32_t kLiveId = 127;
inline constexpr uint32_t kLiveExact = 56;

// The size that a code below kLiveSizeNext stands for.
constexpr uint32_t LiveBytesOf(uint32_t code) {
  return code <= kLiveExact + 1 ? code - 1 : code * 8 - 400;
}

// Word of the coarse array: granules of even number in one half of it, of odd number in the other.
// Part of every hook, so nothing is left to the compiler's judgement.
[[gnu::always_inline]] constexpr uint64_t LiveCoarseIndex(uint64_t address) {
  return address >> 6 | (address & kLiveGranule) << 36;
}
// Word of the finer ones.
constexpr uint64_t LiveFineIndex(uint64_t address) { return address >> 4; }

}  // namespace memtrace

#endif  // MEMTRACE_CORE_LIVE_SHADOW_H_
