#include "tools/read/figures.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <tuple>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

constexpr int kPeakAttempts = 5;
constexpr int kCellAttempts = 10000;

// A thread that was suspended in the middle of an event is waited for, but not for long: it may
// have been killed there. All waiting of one reading together:
constexpr absl::Duration kPatience = absl::Milliseconds(200);
constexpr absl::Duration kNap = absl::Microseconds(50);

// 1 EiB: at 10 GB/s a process needs three years to allocate that much. Below it, the sums of a few
// processes still fit in 64 bits.
constexpr uint64_t kMostEver = uint64_t{1} << 60;

template <typename T>
T Load(const T& place) {
  return __atomic_load_n(&place, __ATOMIC_RELAXED);
}

// One page of cells and whose it is.
struct Page {
  uint32_t site_block;
  uint32_t slot;
  const Cell* cells;
  const ThreadRecord* owner;  // null when the slot is not there: cells are read without its seq
};

// The state of the peak that all cells of one reading are measured against.
struct PeakState {
  uint32_t epoch;
  int64_t peak;
  int64_t total;
  bool climbing() const { return total > peak; }
};

PeakState LoadPeakState(const Header& header) {
  PeakState state;
  state.epoch = header.peak_epoch.load(std::memory_order_acquire);
  state.peak = header.peak.load(std::memory_order_acquire);
  // Unsigned, because a hostile file must not make the sum overflow.
  state.total = static_cast<int64_t>(
      static_cast<uint64_t>(header.owner_total.load(std::memory_order_acquire)) +
      static_cast<uint64_t>(header.shared_total.load(std::memory_order_acquire)));
  return state;
}

Cell CopyCell(const Cell& cell) {
  Cell copy;
  copy.free_objects = Load(cell.free_objects);
  copy.free_bytes = Load(cell.free_bytes);
  std::atomic_thread_fence(std::memory_order_acquire);
  copy.alloc_objects = Load(cell.alloc_objects);
  copy.alloc_bytes = Load(cell.alloc_bytes);
  copy.temporary_objects = Load(cell.temporary_objects);
  copy.temporary_bytes = Load(cell.temporary_bytes);
  copy.saved_bytes = Load(cell.saved_bytes);
  copy.saved_objects = Load(cell.saved_objects);
  copy.epoch = Load(cell.epoch);
  return copy;
}

bool SameCounts(const Cell& a, const Cell& b) {
  return a.alloc_objects == b.alloc_objects && a.alloc_bytes == b.alloc_bytes &&
         a.free_objects == b.free_objects && a.free_bytes == b.free_bytes &&
         a.temporary_objects == b.temporary_objects && a.temporary_bytes == b.temporary_bytes &&
         a.epoch == b.epoch;
}

bool Untouched(const Cell& cell) {
  return Load(cell.alloc_objects) == 0 && Load(cell.free_objects) == 0;
}

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

// Sums over the cells of one site.
struct SiteSum {
  Values own;                    // allocations made by this process
  uint64_t inherited_bytes = 0;  // slot 0
  uint64_t inherited_objects = 0;
  uint64_t freed_bytes = 0;
  uint64_t freed_objects = 0;
  int64_t peak_bytes = 0;
  int64_t peak_objects = 0;
};

class FigureReader {
 public:
  explicit FigureReader(const RegionFile& region)
      : region_(region), header_(region.header()), sites_(region, kSites) {}

  absl::StatusOr<Figures> Read();

 private:
  absl::Status CollectPages();
  absl::Status ReadOnce(Figures* figures);
  absl::Status ReadBlock(const Page* first, const Page* last, Figures* figures);
  absl::Status AddCell(const Page& page, Cell cell, SiteSum* sum);
  Cell ReadCell(const Page& page, uint32_t index);
  bool AwaitEvent(const Page& page, uint64_t seq);
  void AddSite(uint32_t id, const SiteRecord& site, const SiteSum& sum, Figures* figures);
  absl::Status Damaged(const std::string& what) const {
    return absl::DataLossError(absl::StrFormat("%s: damaged: %s", region_.path(), what));
  }

  const RegionFile& region_;
  const Header& header_;
  const SectionView sites_;
  std::vector<Page> pages_;
  PeakState state_ = {};
  absl::Duration patience_ = kPatience;
  uint64_t ever_bytes_ = 0;  // running sums, to notice nonsense before it overflows
  uint64_t ever_objects_ = 0;
  uint64_t freed_or_saved_ = 0;
  int64_t own_peak_ = 0;
  int64_t all_peak_ = 0;
};

// A page whose owner record is not written yet belongs to a thread that is just starting.
absl::Status FigureReader::CollectPages() {
  const SectionView owners(region_, kCellOwners);
  const SectionView cells(region_, kCells);
  const SectionView threads(region_, kThreads);
  const uint64_t count = std::min(owners.Count(), cells.Count());
  const uint64_t slots = threads.Count();
  pages_.clear();
  for (uint64_t i = 0; i < count; ++i) {
    CellOwner owner;
    if (!owners.Copy(i, &owner)) return Damaged("the list of cell owners runs out of the file");
    if (owner.site_block == 0) continue;
    const Cell* page = cells.InPlace<Cell>(i, kCellPageBytes);
    if (page == nullptr) return Damaged(absl::StrFormat("cells %d are outside the file", i));
    if (owner.thread >= slots) {
      return Damaged(
          absl::StrFormat("cells %d belong to thread slot %d of %d", i, owner.thread, slots));
    }
    pages_.push_back(
        {owner.site_block - 1, owner.thread, page, threads.InPlace<ThreadRecord>(owner.thread)});
  }
  std::sort(pages_.begin(), pages_.end(), [](const Page& a, const Page& b) {
    return std::tie(a.site_block, a.slot) < std::tie(b.site_block, b.slot);
  });
  return absl::OkStatus();
}

// Waits until the owner is done with the event that made its seq odd. False: it is not.
bool FigureReader::AwaitEvent(const Page& page, uint64_t seq) {
  for (int spin = 0; spin < 200; ++spin) {
    if (page.owner->seq.load(std::memory_order_relaxed) != seq) return true;
  }
  while (patience_ > absl::ZeroDuration()) {
    absl::SleepFor(kNap);
    patience_ -= kNap;
    if (page.owner->seq.load(std::memory_order_relaxed) != seq) return true;
  }
  return false;
}

// The cell as it was at a moment between two events of its owner: its counters only grow, so what
// is equal before and after that moment was so at it. A dead owner may have left `seq` odd for
// good: then the cell is as it is, half an event off at most.
Cell FigureReader::ReadCell(const Page& page, uint32_t index) {
  const Cell& cell = page.cells[index];
  Cell copy = CopyCell(cell);
  if (page.owner == nullptr) return copy;
  for (int attempt = 0; attempt < kCellAttempts; ++attempt) {
    std::atomic_thread_fence(std::memory_order_acquire);
    const uint64_t seq = page.owner->seq.load(std::memory_order_acquire);
    const Cell again = CopyCell(cell);
    if (seq % 2 == 0 && SameCounts(copy, again)) return again;
    copy = again;
    if (seq % 2 != 0 && !AwaitEvent(page, seq)) break;
  }
  return copy;
}

absl::Status FigureReader::AddCell(const Page& page, Cell cell, SiteSum* sum) {
  // What a child inherited is a sum over threads that may have gone on meanwhile: a little below
  // zero is nothing.
  if (page.slot == 0 && Signed(cell.alloc_bytes) < 0) cell.alloc_bytes = 0;
  if (page.slot == 0 && Signed(cell.alloc_objects) < 0) cell.alloc_objects = 0;
  ever_bytes_ += std::min(cell.alloc_bytes, kMostEver) + std::min(cell.temporary_bytes, kMostEver);
  ever_objects_ +=
      std::min(cell.alloc_objects, kMostEver) + std::min(cell.temporary_objects, kMostEver);
  const uint64_t saved = static_cast<uint64_t>(std::llabs(std::max(cell.saved_bytes, -INT64_MAX)));
  freed_or_saved_ += std::min(cell.free_bytes, kMostEver) + std::min(cell.free_objects, kMostEver) +
                     std::min(saved, kMostEver);
  if (ever_bytes_ >= kMostEver || ever_objects_ >= kMostEver || freed_or_saved_ >= kMostEver) {
    return Damaged("its counters are larger than any process can make them");
  }
  const int64_t live_bytes = Signed(cell.alloc_bytes) - Signed(cell.free_bytes);
  const int64_t live_objects = Signed(cell.alloc_objects) - Signed(cell.free_objects);
  const bool saved_counts = !state_.climbing() && cell.epoch == state_.epoch;
  sum->peak_bytes += saved_counts ? cell.saved_bytes : live_bytes;
  sum->peak_objects += saved_counts ? cell.saved_objects : live_objects;
  if (page.slot == 0) {
    sum->inherited_bytes += cell.alloc_bytes;
    sum->inherited_objects += cell.alloc_objects;
    return absl::OkStatus();
  }
  sum->own.alloc_bytes += Signed(cell.alloc_bytes);
  sum->own.alloc_objects += Signed(cell.alloc_objects);
  sum->own.temporary_bytes += Signed(cell.temporary_bytes);
  sum->own.temporary_objects += Signed(cell.temporary_objects);
  return absl::OkStatus();
}

// What is live of a site that holds both kinds: frees are taken to be of inherited blocks last,
// since those are the older ones and what is left of them is mostly there for good.
void SplitLive(int64_t live, int64_t inherited, int64_t* own, int64_t* parents) {
  live = std::max<int64_t>(live, 0);
  *parents = std::min(live, inherited);
  *own = live - *parents;
}

void FigureReader::AddSite(uint32_t id, const SiteRecord& site, const SiteSum& sum,
                           Figures* figures) {
  SiteFigures out;
  out.node = site.node;
  out.caller = site.caller;
  out.slot = site.thread;
  out.domain = static_cast<Domain>(site.domain);
  out.values = sum.own;
  int64_t parents_bytes = 0, parents_objects = 0, parents_peak = 0, ignored = 0;
  SplitLive(sum.own.alloc_bytes + Signed(sum.inherited_bytes) - Signed(sum.freed_bytes),
            Signed(sum.inherited_bytes), &out.values.inuse_bytes, &parents_bytes);
  SplitLive(sum.own.alloc_objects + Signed(sum.inherited_objects) - Signed(sum.freed_objects),
            Signed(sum.inherited_objects), &out.values.inuse_objects, &parents_objects);
  SplitLive(sum.peak_bytes, Signed(sum.inherited_bytes), &out.values.peak_bytes, &parents_peak);
  SplitLive(sum.peak_objects, Signed(sum.inherited_objects), &out.values.peak_objects, &ignored);
  figures->inherited_bytes += parents_bytes;
  own_peak_ += out.values.peak_bytes;
  all_peak_ += out.values.peak_bytes + parents_peak;
  if (!out.values.IsZero()) figures->sites.push_back(out);
}

// The pages [first, last) hold the cells of the same 64 sites, each for another thread.
absl::Status FigureReader::ReadBlock(const Page* first, const Page* last, Figures* figures) {
  for (uint32_t i = 0; i < kSitesPerBlock; ++i) {
    if (std::all_of(first, last, [i](const Page& p) { return Untouched(p.cells[i]); })) continue;
    const uint64_t id = uint64_t{first->site_block} * kSitesPerBlock + i;
    SiteRecord site;
    if (id >= sites_.Count() || !sites_.Copy(id, &site)) {
      return Damaged(absl::StrFormat("site %d has figures but is outside the file", id));
    }
    if (site.valid != 1) continue;  // its thread is just making it
    if (site.domain == 0 || site.domain >= kDomainCount) {
      return Damaged(absl::StrFormat("site %d is of unknown domain %d", id, site.domain));
    }
    SiteSum sum;
    if (last - first == 1) {
      const Cell cell = ReadCell(*first, i);
      sum.freed_bytes = std::min(cell.free_bytes, kMostEver);
      sum.freed_objects = std::min(cell.free_objects, kMostEver);
      if (absl::Status s = AddCell(*first, cell, &sum); !s.ok()) return s;
    } else {
      for (const Page* page = first; page != last; ++page) {
        const Cell cell = ReadCell(*page, i);
        sum.freed_bytes += std::min(cell.free_bytes, kMostEver);
        sum.freed_objects += std::min(cell.free_objects, kMostEver);
        if (sum.freed_bytes >= kMostEver || sum.freed_objects >= kMostEver) {
          return Damaged("its counters are larger than any process can make them");
        }
      }
      std::atomic_thread_fence(std::memory_order_acquire);
      for (const Page* page = first; page != last; ++page) {
        if (absl::Status s = AddCell(*page, ReadCell(*page, i), &sum); !s.ok()) return s;
      }
    }
    AddSite(static_cast<uint32_t>(id), site, sum, figures);
  }
  return absl::OkStatus();
}

absl::Status FigureReader::ReadOnce(Figures* figures) {
  ever_bytes_ = ever_objects_ = freed_or_saved_ = 0;
  own_peak_ = all_peak_ = 0;
  state_ = LoadPeakState(header_);
  for (size_t i = 0; i < pages_.size();) {
    size_t end = i + 1;
    while (end < pages_.size() && pages_[end].site_block == pages_[i].site_block) ++end;
    absl::Status s = ReadBlock(&pages_[i], &pages_[0] + end, figures);
    if (!s.ok()) return s;
    i = end;
  }
  return absl::OkStatus();
}

// How far the peak may be off because threads add to the total in steps.
int64_t ThreadBound(const RegionFile& region) {
  if ((region.header().flags.load() & kFlagThreaded) == 0) return 0;
  const SectionView threads(region, kThreads);
  const uint64_t count = threads.Count();
  int64_t used = 0;
  for (uint64_t slot = 1; slot < count; ++slot) {
    const ThreadRecord* record = threads.InPlace<ThreadRecord>(slot);
    if (record == nullptr) continue;
    const auto state = static_cast<ThreadState>(record->state.load());
    if (state == ThreadState::kLive || state == ThreadState::kEnded) ++used;
  }
  return used * kFlushBytes;
}

absl::StatusOr<Figures> FigureReader::Read() {
  Figures figures;
  for (int attempt = 0; attempt < kPeakAttempts; ++attempt) {
    figures = Figures();
    if (absl::Status s = CollectPages(); !s.ok()) return s;
    if (absl::Status s = ReadOnce(&figures); !s.ok()) return s;
    if (LoadPeakState(header_).epoch == state_.epoch) break;
  }
  // While the process climbs, its peak is what it holds: the very figures just read.
  figures.at_peak = state_.climbing();
  figures.now_bytes = ReadTotals(region_).now_bytes;
  figures.peak_bytes = own_peak_;
  figures.peak_bound = ThreadBound(region_);
  const bool sane = state_.peak >= 0 && state_.peak < static_cast<int64_t>(kMostEver);
  if (!figures.at_peak && sane) {
    const int64_t difference = std::llabs(state_.peak - all_peak_);
    figures.peak_bytes = std::max<int64_t>(0, state_.peak - (all_peak_ - own_peak_));
    figures.peak_bound = std::max(figures.peak_bound, difference);
  }
  return figures;
}

}  // namespace

absl::StatusOr<Figures> ReadFigures(const RegionFile& region) {
  return FigureReader(region).Read();
}

HeaderTotals ReadTotals(const RegionFile& region) {
  const PeakState state = LoadPeakState(region.header());
  uint64_t total = static_cast<uint64_t>(state.total);
  const SectionView threads(region, kThreads);
  const uint64_t count = threads.Count();
  for (uint64_t slot = 0; slot < count; ++slot) {
    const ThreadRecord* record = threads.InPlace<ThreadRecord>(slot);
    if (record != nullptr) total += static_cast<uint64_t>(Load(record->unflushed_bytes));
  }
  HeaderTotals totals;
  totals.now_bytes = std::max<int64_t>(0, static_cast<int64_t>(total));
  totals.peak_bytes = std::max(state.peak, totals.now_bytes);
  return totals;
}

int64_t CountAllocations(const RegionFile& region) {
  const SectionView owners(region, kCellOwners);
  const SectionView cells(region, kCells);
  const uint64_t count = std::min(owners.Count(), cells.Count());
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; ++i) {
    CellOwner owner;
    const Cell* page = cells.InPlace<Cell>(i, kCellPageBytes);
    if (page == nullptr || !owners.Copy(i, &owner) || owner.thread == 0) continue;
    for (uint32_t c = 0; c < kSitesPerBlock; ++c) sum += Load(page[c].alloc_objects);
  }
  return static_cast<int64_t>(std::min(sum, kMostEver));
}

}  // namespace memtrace
