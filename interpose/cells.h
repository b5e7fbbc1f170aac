// Reading this process's own cells, while other threads write theirs: each figure by itself is
// whole, and frees are read before allocations, so that a sum over all cells is never below zero.

#ifndef MEMTRACE_INTERPOSE_CELLS_H_
#define MEMTRACE_INTERPOSE_CELLS_H_

#include <cstdint>

#include "interpose/recorder.h"
#include "interpose/region.h"

namespace memtrace {

struct CellFigures {
  int64_t live_objects;
  int64_t live_bytes;
  int64_t saved_bytes;
  uint32_t epoch;
};

__attribute__((no_sanitize("thread"))) inline CellFigures FiguresOf(const Cell& cell) {
  const Pair saved = *reinterpret_cast<const volatile Pair*>(&cell.saved);
  const Pair freed = *reinterpret_cast<const volatile Pair*>(&cell.free);
  std::atomic_thread_fence(std::memory_order_acquire);
  const Pair made = *reinterpret_cast<const volatile Pair*>(&cell.alloc);
  return {static_cast<int64_t>(made[0] - freed[0]), static_cast<int64_t>(made[1] - freed[1]),
          static_cast<int64_t>(saved[0]), static_cast<uint32_t>(saved[1] >> 32)};
}

__attribute__((no_sanitize("thread"))) inline CellFigures FiguresOf(const SmallBlock& block,
                                                                    uint32_t i) {
  const SmallCell& cell = block.cells[i];
  const uint32_t epoch = __atomic_load_n(&block.epochs[i], __ATOMIC_ACQUIRE);
  const uint32_t saved = __atomic_load_n(&cell.saved, __ATOMIC_ACQUIRE);
  const uint32_t freed = __atomic_load_n(&cell.free, __ATOMIC_ACQUIRE);
  const uint32_t made = __atomic_load_n(&cell.alloc, __ATOMIC_RELAXED);
  return {static_cast<int64_t>(made & 0xff) - (freed & 0xff),
          static_cast<int64_t>(made >> 8) - (freed >> 8), SmallBytes(saved), epoch};
}

// f(number of the page's sites, page) for each page of a section of cells.
template <class Page, class F>
void EachPage(SectionId cells, SectionId owners, F&& f) {
  const Section* sections = g_region.header()->sections;
  const uint64_t pages = sections[cells].used.load(std::memory_order_acquire);
  const uint64_t owned = sections[owners].used.load(std::memory_order_acquire);
  for (uint64_t i = 0; i < pages && i < owned; i++) {
    auto& word = g_region.At<CellOwner>(owners, i)->sites;
    const uint32_t number = std::atomic_ref<uint32_t>(word).load(std::memory_order_acquire);
    if (number != 0) f(number - 1, *g_region.At<Page>(cells, i));
  }
}

// f(site, figures) for each cell of each thread.
template <class F>
void EachCell(F&& f) {
  EachPage<SmallPage>(kSmallCells, kSmallOwners, [&](uint32_t number, const SmallPage& page) {
    for (uint32_t i = 0; i < kSitesPerSmallPage; i++) {
      f(number * kSitesPerSmallPage + i,
        FiguresOf(page.blocks[i / kSitesPerBlock], i % kSitesPerBlock));
    }
  });
  EachPage<CellPage>(kCells, kCellOwners, [&](uint32_t number, const CellPage& page) {
    for (uint32_t i = 0; i < kSitesPerBlock; i++) {
      f(kFirstBusySite + number * kSitesPerBlock + i, FiguresOf(page.cells[i]));
    }
  });
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_CELLS_H_
