#include "tools/read/figures.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "absl/strings/str_format.h"
#include "tools/read/cell_reader.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

constexpr int kPeakAttempts = 5;

// Half an EiB: at 10 GB/s a process needs nearly two years to allocate that much. Twice as much, as
// a figure may be in a snapshot file, bounds what is live and what was saved for the peak together.
constexpr uint64_t kMostEver = uint64_t{1} << 59;

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
      : region_(region),
        header_(region.header()),
        sites_(region, kSites),
        busy_sites_(region, kBusySites) {}

  absl::StatusOr<Figures> Read();

 private:
  absl::Status CollectPages();
  absl::Status CollectPages(SectionId cells, SectionId owners);
  absl::Status ReadOnce(Figures* figures);
  absl::Status ReadBlock(const Page* first, const Page* last, Figures* figures);
  absl::StatusOr<SiteSum> SumSite(const Page* first, const Page* last, uint32_t i);
  absl::Status AddCell(const Page& page, const Cell& read, SiteSum* sum);
  bool ReadSite(uint32_t id, SiteRecord* out) const;
  void AddSite(uint32_t id, const SiteRecord& site, const SiteSum& sum, Figures* figures);
  absl::Status Damaged(const std::string& what) const {
    return absl::DataLossError(absl::StrFormat("%s: damaged: %s", region_.path(), what));
  }

  const RegionFile& region_;
  const Header& header_;
  const SectionView sites_;
  const SectionView busy_sites_;
  std::vector<Page> pages_;
  PeakState state_ = {};
  uint64_t ever_bytes_ = 0;  // running sums, to notice nonsense before it overflows
  uint64_t ever_objects_ = 0;
  uint64_t freed_or_saved_ = 0;
  int64_t own_peak_ = 0;
  int64_t all_peak_ = 0;
};

absl::Status FigureReader::CollectPages() {
  pages_.clear();
  if (absl::Status s = CollectPages(kSmallCells, kSmallOwners); !s.ok()) return s;
  if (absl::Status s = CollectPages(kCells, kCellOwners); !s.ok()) return s;
  std::sort(pages_.begin(), pages_.end(), [](const Page& a, const Page& b) {
    return std::tie(a.first_site, a.slot) < std::tie(b.first_site, b.slot);
  });
  return absl::OkStatus();
}

// A page whose owner record is not written yet belongs to a thread that is just starting.
absl::Status FigureReader::CollectPages(SectionId cells_id, SectionId owners_id) {
  const SectionView owners(region_, owners_id);
  const SectionView cells(region_, cells_id);
  const uint64_t slots = SectionView(region_, kThreads).Count();
  const uint64_t count = std::min(owners.Count(), cells.Count());
  for (uint64_t i = 0; i < count; ++i) {
    CellOwner owner;
    if (!owners.Copy(i, &owner)) return Damaged("the list of cell owners runs out of the file");
    if (owner.sites == 0) continue;
    Page page = {0, owner.thread, nullptr, nullptr};
    if (cells_id == kCells) {
      page.full = cells.InPlace<CellPage>(i);
    } else {
      page.small = cells.InPlace<SmallPage>(i);
    }
    if (page.full == nullptr && page.small == nullptr) {
      return Damaged(absl::StrFormat("cells %d are outside the file", i));
    }
    const uint64_t first = uint64_t{owner.sites - 1} * page.sites();
    if (first >= kFirstBusySite) return Damaged(absl::StrFormat("cells of site %d", first));
    if (owner.thread >= slots) {
      return Damaged(
          absl::StrFormat("cells %d belong to thread slot %d of %d", i, owner.thread, slots));
    }
    page.first_site = static_cast<uint32_t>(first) + (page.full != nullptr ? kFirstBusySite : 0);
    pages_.push_back(page);
  }
  return absl::OkStatus();
}

absl::Status FigureReader::AddCell(const Page& page, const Cell& read, SiteSum* sum) {
  Cell cell = read;
  // What a child inherited is a sum over threads that may have gone on meanwhile: a little below
  // zero is nothing.
  if (page.slot == 0 && Signed(cell.alloc.bytes) < 0) cell.alloc.bytes = 0;
  if (page.slot == 0 && Signed(cell.alloc.objects) < 0) cell.alloc.objects = 0;
  ever_bytes_ += std::min(cell.alloc.bytes, kMostEver) + std::min(cell.temporary.bytes, kMostEver);
  ever_objects_ +=
      std::min(cell.alloc.objects, kMostEver) + std::min(cell.temporary.objects, kMostEver);
  const uint64_t saved = static_cast<uint64_t>(std::llabs(std::max(cell.saved.bytes, -INT64_MAX)));
  freed_or_saved_ += std::min(cell.free.bytes, kMostEver) + std::min(cell.free.objects, kMostEver) +
                     std::min(saved, kMostEver);
  if (ever_bytes_ >= kMostEver || ever_objects_ >= kMostEver || freed_or_saved_ >= kMostEver) {
    return Damaged("its counters are larger than any process can make them");
  }
  const int64_t live_bytes = Signed(cell.alloc.bytes) - Signed(cell.free.bytes);
  const int64_t live_objects = Signed(cell.alloc.objects) - Signed(cell.free.objects);
  const bool saved_counts = !state_.climbing() && cell.saved.epoch == state_.epoch;
  sum->peak_bytes += saved_counts ? cell.saved.bytes : live_bytes;
  sum->peak_objects += saved_counts ? cell.saved.objects : live_objects;
  if (page.slot == 0) {
    sum->inherited_bytes += cell.alloc.bytes;
    sum->inherited_objects += cell.alloc.objects;
    return absl::OkStatus();
  }
  sum->own.alloc_bytes += Signed(cell.alloc.bytes);
  sum->own.alloc_objects += Signed(cell.alloc.objects);
  sum->own.temporary_bytes += Signed(cell.temporary.bytes);
  sum->own.temporary_objects += Signed(cell.temporary.objects);
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
  out.node = site.node();
  out.caller = site.caller();
  out.slot = site.thread();
  out.domain = static_cast<Domain>(site.domain());
  out.values = sum.own;
  int64_t parents_bytes = 0, parents_objects = 0, parents_peak = 0, ignored = 0;
  SplitLive(sum.own.alloc_bytes + Signed(sum.inherited_bytes) - Signed(sum.freed_bytes),
            Signed(sum.inherited_bytes), &out.values.inuse_bytes, &parents_bytes);
  SplitLive(sum.own.alloc_objects + Signed(sum.inherited_objects) - Signed(sum.freed_objects),
            Signed(sum.inherited_objects), &out.values.inuse_objects, &parents_objects);
  SplitLive(sum.peak_bytes, Signed(sum.inherited_bytes), &out.values.peak_bytes, &parents_peak);
  SplitLive(sum.peak_objects, Signed(sum.inherited_objects), &out.values.peak_objects, &ignored);
  if (!IsAddressSpace(out.domain)) {
    figures->inherited_bytes += parents_bytes;
    own_peak_ += out.values.peak_bytes;
    all_peak_ += out.values.peak_bytes + parents_peak;
  }
  if (!out.values.IsZero()) figures->sites.push_back(out);
}

// Site i of the pages [first, last). All frees are read before all allocations.
absl::StatusOr<SiteSum> FigureReader::SumSite(const Page* first, const Page* last, uint32_t i) {
  SiteSum sum;
  if (last - first == 1) {
    const Cell cell = ReadCell(*first, i);
    sum.freed_bytes = std::min(cell.free.bytes, kMostEver);
    sum.freed_objects = std::min(cell.free.objects, kMostEver);
    if (absl::Status s = AddCell(*first, cell, &sum); !s.ok()) return s;
    return sum;
  }
  for (const Page* page = first; page != last; ++page) {
    const Cell cell = ReadCell(*page, i);
    sum.freed_bytes += std::min(cell.free.bytes, kMostEver);
    sum.freed_objects += std::min(cell.free.objects, kMostEver);
    if (sum.freed_bytes >= kMostEver || sum.freed_objects >= kMostEver) {
      return Damaged("its counters are larger than any process can make them");
    }
  }
  std::atomic_thread_fence(std::memory_order_acquire);
  for (const Page* page = first; page != last; ++page) {
    if (absl::Status s = AddCell(*page, ReadCell(*page, i), &sum); !s.ok()) return s;
  }
  return sum;
}

bool FigureReader::ReadSite(uint32_t id, SiteRecord* out) const {
  const SectionView& section = IsBusySite(id) ? busy_sites_ : sites_;
  const uint32_t index = IsBusySite(id) ? id - kFirstBusySite : id;
  return index < section.Count() && section.Copy(index, out);
}

// The pages [first, last) hold the cells of the same sites, each for another thread.
absl::Status FigureReader::ReadBlock(const Page* first, const Page* last, Figures* figures) {
  for (uint32_t i = 0; i < first->sites(); ++i) {
    if (std::all_of(first, last, [i](const Page& p) { return Untouched(p, i); })) continue;
    const uint32_t id = first->first_site + i;
    SiteRecord site;
    if (!ReadSite(id, &site)) {
      return Damaged(absl::StrFormat("site %d has figures but is outside the file", id));
    }
    if (site.domain() == 0) continue;  // its thread is just making it
    if (site.domain() >= kDomainCount) {
      return Damaged(absl::StrFormat("site %d is of unknown domain %d", id, site.domain()));
    }
    absl::StatusOr<SiteSum> sum = SumSite(first, last, i);
    if (!sum.ok()) return sum.status();
    AddSite(id, site, *sum, figures);
  }
  return absl::OkStatus();
}

absl::Status FigureReader::ReadOnce(Figures* figures) {
  ever_bytes_ = ever_objects_ = freed_or_saved_ = 0;
  own_peak_ = all_peak_ = 0;
  state_ = LoadPeakState(header_);
  for (size_t i = 0; i < pages_.size();) {
    size_t end = i + 1;
    while (end < pages_.size() && pages_[end].first_site == pages_[i].first_site) ++end;
    absl::Status s = ReadBlock(&pages_[i], &pages_[0] + end, figures);
    if (!s.ok()) return s;
    i = end;
  }
  return absl::OkStatus();
}

// How far the peak may be off because threads add to the total in steps.
int64_t ThreadBound(const RegionFile& region) {
  const uint32_t flags = region.header().flags.load();
  if ((flags & kFlagThreaded) == 0 || (flags & kFlagExactPeak) != 0) return 0;
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

// With threads the peak that was declared lags behind; but no peak is below what is live: then the
// live figures are nearer.
void RaisePeakToLive(Figures* figures) {
  int64_t live = 0;
  for (const SiteFigures& site : figures->sites) {
    if (!IsAddressSpace(site.domain)) live += site.values.inuse_bytes;
  }
  if (live <= figures->peak_bytes) return;
  figures->at_peak = true;
  figures->peak_bytes = live;
  for (SiteFigures& site : figures->sites) {
    site.values.peak_bytes = site.values.inuse_bytes;
    site.values.peak_objects = site.values.inuse_objects;
  }
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
  RaisePeakToLive(&figures);
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

namespace {

// f(number of the page's sites, page) of each page of cells but those of what was inherited.
template <typename PageType, typename F>
void EachPage(const RegionFile& region, SectionId cells_id, SectionId owners_id, F&& f) {
  const SectionView owners(region, owners_id);
  const SectionView cells(region, cells_id);
  const uint64_t count = std::min(owners.Count(), cells.Count());
  for (uint64_t i = 0; i < count; ++i) {
    CellOwner owner;
    const PageType* page = cells.InPlace<PageType>(i);
    if (page == nullptr || !owners.Copy(i, &owner)) continue;
    if (owner.thread != 0 && owner.sites != 0) f(owner.sites - 1, *page);
  }
}

}  // namespace

int64_t CountAllocations(const RegionFile& region) {
  uint64_t sum = 0;
  const auto add = [&sum](const SectionView& sites, uint64_t index, uint64_t objects) {
    SiteRecord site;
    if (objects == 0 || !sites.Copy(index, &site)) return;
    if (!IsAddressSpace(static_cast<Domain>(site.domain()))) sum += objects;
  };
  const SectionView busy(region, kBusySites), small(region, kSites);
  EachPage<CellPage>(region, kCells, kCellOwners, [&](uint64_t number, const CellPage& page) {
    for (uint32_t i = 0; i < kSitesPerBlock; ++i) {
      add(busy, number * kSitesPerBlock + i, Load(page.cells[i].alloc.objects));
    }
  });
  EachPage<SmallPage>(region, kSmallCells, kSmallOwners,
                      [&](uint64_t number, const SmallPage& page) {
                        for (uint32_t i = 0; i < kSitesPerSmallPage; ++i) {
                          const SmallBlock& block = page.blocks[i / kSitesPerBlock];
                          add(small, number * kSitesPerSmallPage + i,
                              Load(block.cells[i % kSitesPerBlock].alloc) & 0xff);
                        }
                      });
  return static_cast<int64_t>(std::min(sum, kMostEver));
}

}  // namespace memtrace
