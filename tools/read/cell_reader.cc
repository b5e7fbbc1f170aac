#include "tools/read/cell_reader.h"

#include <atomic>

namespace memtrace {
namespace {

constexpr int kCellAttempts = 1000;

// Objects and bytes of a counter are stored at once, and loaded at once.
typedef uint64_t Pair __attribute__((vector_size(16), may_alias));
template <typename T>
Pair LoadPair(const T& place) {
  return *reinterpret_cast<const volatile Pair*>(&place);
}

Count LoadCount(const Count& place) {
  const Pair pair = LoadPair(place);
  return {pair[0], pair[1]};
}

// Of a small cell's word.
Count Unpacked(uint32_t word) { return {word & 0xff, word >> 8}; }

// What is saved is read first: a writer saves before it counts. Then all frees, then allocations.
Cell CopyCell(const Cell& cell) {
  Cell copy;
  const Pair saved = LoadPair(cell.saved);
  copy.saved = {static_cast<int64_t>(saved[0]), static_cast<int32_t>(saved[1]),
                static_cast<uint32_t>(saved[1] >> 32)};
  std::atomic_thread_fence(std::memory_order_acquire);
  copy.free = LoadCount(cell.free);
  std::atomic_thread_fence(std::memory_order_acquire);
  copy.alloc = LoadCount(cell.alloc);
  copy.temporary = LoadCount(cell.temporary);
  return copy;
}

Cell CopySmallCell(const SmallBlock& block, uint32_t i) {
  const SmallCell& cell = block.cells[i];
  Cell copy;
  const uint32_t epoch = Load(block.epochs[i]);
  std::atomic_thread_fence(std::memory_order_acquire);
  const uint32_t saved = Load(cell.saved);
  std::atomic_thread_fence(std::memory_order_acquire);
  copy.saved = {SmallBytes(saved), SmallObjects(saved), epoch};
  copy.free = Unpacked(Load(cell.free));
  std::atomic_thread_fence(std::memory_order_acquire);
  copy.alloc = Unpacked(Load(cell.alloc));
  copy.temporary = Unpacked(Load(cell.temporary));
  return copy;
}

Cell CopyCell(const Page& page, uint32_t i) {
  if (page.full != nullptr) return CopyCell(page.full->cells[i]);
  return CopySmallCell(page.small->blocks[i / kSitesPerBlock], i % kSitesPerBlock);
}

bool Same(const Count& a, const Count& b) { return a.objects == b.objects && a.bytes == b.bytes; }

bool SameCounts(const Cell& a, const Cell& b) {
  return Same(a.alloc, b.alloc) && Same(a.free, b.free) && Same(a.temporary, b.temporary) &&
         a.saved.epoch == b.saved.epoch;
}

}  // namespace

bool Untouched(const Page& page, uint32_t i) {
  if (page.full != nullptr) {
    const Cell& cell = page.full->cells[i];
    return Load(cell.alloc.objects) == 0 && Load(cell.free.objects) == 0;
  }
  const SmallCell& cell = page.small->blocks[i / kSitesPerBlock].cells[i % kSitesPerBlock];
  return Load(cell.alloc) == 0 && Load(cell.free) == 0;
}

Cell ReadCell(const Page& page, uint32_t i) {
  Cell copy = CopyCell(page, i);
  for (int attempt = 0; attempt < kCellAttempts; ++attempt) {
    std::atomic_thread_fence(std::memory_order_acquire);
    const Cell again = CopyCell(page, i);
    if (SameCounts(copy, again)) return again;
    copy = again;
  }
  return copy;
}

}  // namespace memtrace
