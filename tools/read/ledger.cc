#include "tools/read/ledger.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "tools/read/clock.h"
#include "tools/read/figures.h"
#include "tools/read/live_scan.h"
#include "tools/read/mappings.h"
#include "tools/read/process_memory.h"
#include "tools/read/section_view.h"
#include "tools/read/smaps.h"

namespace memtrace {
namespace {

constexpr size_t kMostPinned = 100000;      // sites in pinned arenas
constexpr uint64_t kOwnPages = 128 * 1024;  // glibc maps blocks from here on by themselves
constexpr uint64_t kPinnedBelow = 4;        // an arena's size / its live bytes

// What glibc takes for a block beyond its size: a header of 8 bytes, rounded up to 16, at least 32.
uint64_t Overhead(uint64_t bytes) {
  return std::max<uint64_t>(32, (bytes + 8 + 15) & ~uint64_t{15}) - bytes;
}

// Memory of one kind of allocator.
struct Container {
  uint64_t rss = 0;
  uint64_t live = 0;
  uint64_t overhead = 0;

  void Add(uint64_t rss_bytes, uint64_t live_bytes, uint64_t overhead_bytes) {
    const uint64_t resident = std::min(live_bytes, rss_bytes);
    rss += rss_bytes;
    live += resident;
    overhead += std::min(overhead_bytes, rss_bytes - resident);
  }
  int64_t Slack() const { return static_cast<int64_t>(rss - live); }
};

// Memory whose purpose is known from its address alone, and what has none.
struct Explained {
  int64_t unexplained = 0, stacks = 0, recorder = 0, anonymous = 0, files = 0;
  std::map<std::string, int64_t> file_bytes;
  std::map<uint32_t, int64_t> anonymous_bytes;  // by site
};

class LedgerTaker {
 public:
  LedgerTaker(const RegionFile& region, int32_t pid) : region_(region), memory_(pid), pid_(pid) {}

  absl::StatusOr<RawLedger> Take(bool locate);

 private:
  AddressHints Hints() const;
  void SortOut(const Piece& piece);
  absl::Status Locate(const Piece& piece);
  absl::Status LocateUnknown(const Piece& piece, const PagesPresent& pages);
  absl::Status LocateIn(const Piece& piece, const PagesPresent& pages, Container* container,
                        bool arena);
  absl::Status LocateAll();
  void Pool();
  void Pin(const Piece& piece, uint64_t live, const std::map<uint32_t, int64_t>& by_site);
  bool IsPythons(uint32_t site) const;
  void Explain(const Piece& piece, uint64_t rss);
  void AddPart(LedgerKind kind, int64_t bytes, std::vector<LedgerItem> items = {});
  void AddParts();

  const RegionFile& region_;
  ProcessMemory memory_;
  const int32_t pid_;
  std::vector<Vma> vmas_;
  std::vector<Piece> allocators_;  // and kUnknown
  LiveScan scan_{&memory_};
  Container glibc_, python_, other_;
  Explained explained_;
  std::string last_file_;
  std::map<size_t, std::string> bss_files_;  // by index of the mapping
  size_t pinned_sites_ = 0;
  RawLedger raw_;
};

AddressHints LedgerTaker::Hints() const {
  AddressHints hints;
  hints.mapped = ReadMappings(region_);
  hints.region_path = region_.path();
  struct stat info;
  if (stat(region_.path().c_str(), &info) == 0) hints.region_inode = info.st_ino;
  const SectionView threads(region_, kThreads);
  const uint64_t count = std::min<uint64_t>(threads.Count(), kMaxThreadSlots);
  for (uint64_t slot = 1; slot < count; ++slot) {
    const auto* record = threads.InPlace<ThreadRecord>(slot);
    if (record == nullptr || record->stack == 0) continue;
    if (record->state.load() == static_cast<uint32_t>(ThreadState::kLive)) {
      hints.stacks.push_back(record->stack);
    }
  }
  return hints;
}

// Bytes of a piece that are what the piece is for.
void LedgerTaker::Explain(const Piece& piece, uint64_t rss) {
  const auto bytes = static_cast<int64_t>(rss);
  switch (piece.use) {
    case Use::kFile:
      explained_.files += bytes;
      explained_.file_bytes[piece.bss ? bss_files_[piece.vma] : vmas_[piece.vma].name] += bytes;
      break;
    case Use::kStack:
      explained_.stacks += bytes;
      break;
    case Use::kRecorder:
      explained_.recorder += bytes;
      break;
    case Use::kAnonymous:
      explained_.anonymous += bytes;
      explained_.anonymous_bytes[piece.site] += bytes;
      break;
    default:
      explained_.unexplained += bytes;
  }
}

void LedgerTaker::SortOut(const Piece& piece) {
  const std::string& name = vmas_[piece.vma].name;
  if (!name.empty()) last_file_ = name;
  if (piece.bss) bss_files_[piece.vma] = last_file_;
  const bool allocators = piece.use == Use::kUnknown || piece.use == Use::kGlibcHeap ||
                          piece.use == Use::kPythonArena || piece.use == Use::kOtherAllocator;
  if (allocators || piece.bss) {
    allocators_.push_back(piece);
  } else {
    Explain(piece, piece.rss);
  }
}

bool LedgerTaker::IsPythons(uint32_t site) const {
  const SectionView section(region_, IsBusySite(site) ? kBusySites : kSites);
  const uint32_t index = IsBusySite(site) ? site - kFirstBusySite : site;
  SiteRecord record = {};
  if (index >= section.Count() || !section.Copy(index, &record)) return false;
  const auto domain = static_cast<Domain>(record.domain());
  return domain == Domain::kPythonMem || domain == Domain::kPythonObj;
}

void LedgerTaker::Pin(const Piece& piece, uint64_t live,
                      const std::map<uint32_t, int64_t>& by_site) {
  Ledger& ledger = raw_.ledger;
  ++ledger.arenas;
  if (live * kPinnedBelow >= piece.end - piece.start || by_site.empty()) return;
  ++ledger.pinned_arenas;
  ledger.pinned_free_bytes += static_cast<int64_t>(piece.rss - std::min(live, piece.rss));
  pinned_sites_ += by_site.size();
  if (pinned_sites_ <= kMostPinned) raw_.pinned.emplace_back(by_site.begin(), by_site.end());
}

absl::Status LedgerTaker::LocateIn(const Piece& piece, const PagesPresent& pages,
                                   Container* container, bool arena) {
  uint64_t live = 0, overhead = 0;
  std::map<uint32_t, int64_t> by_site;
  absl::Status status =
      scan_.ForEach(piece.start, piece.end, [&](uint64_t address, uint64_t bytes, uint32_t site) {
        const uint64_t resident = pages.Bytes(address, std::min(address + bytes, piece.end));
        live += resident;
        if (pages.Has(address)) overhead += Overhead(bytes);
        if (arena) by_site[site] += static_cast<int64_t>(resident);
      });
  container->Add(piece.rss, live, overhead);
  if (arena) Pin(piece, live, by_site);
  return status;
}

// Memory that nobody has told of: large blocks that glibc has mapped, each for itself; from the
// first small block on the heap of whoever has handed it out; and what is left.
absl::Status LedgerTaker::LocateUnknown(const Piece& piece, const PagesPresent& pages) {
  uint64_t live = 0, overhead = 0, chunks = 0, chunk_end = piece.start;
  uint64_t small = 0, first_small = piece.end;
  uint32_t small_site = 0;
  absl::Status status =
      scan_.ForEach(piece.start, piece.end, [&](uint64_t address, uint64_t bytes, uint32_t site) {
        if (bytes < kOwnPages) {
          small += pages.Bytes(address, std::min(address + bytes, piece.end));
          overhead += Overhead(bytes);
          small_site = site;
          first_small = std::min(first_small, address / kPageBytes * kPageBytes);
          return;
        }
        const uint64_t start = std::max((address - 16) / kPageBytes * kPageBytes, chunk_end);
        const uint64_t end =
            std::min((address + bytes + kPageBytes - 1) / kPageBytes * kPageBytes, piece.end);
        if (start >= end) return;  // cannot be alive together with the one before
        chunk_end = end;
        chunks += pages.Bytes(start, end);
        live += pages.Bytes(std::max(start, address), std::min(address + bytes, end));
      });
  chunks = std::min(chunks, piece.rss);
  glibc_.Add(chunks, live, chunks - std::min(live, chunks));
  const uint64_t rest = piece.rss - chunks;
  const uint64_t heap = std::min(pages.Bytes(first_small, piece.end), rest);
  if (heap > 0) {
    Container& owner = IsPythons(small_site) ? python_ : glibc_;
    owner.Add(heap, small, &owner == &glibc_ ? overhead : 0);
  }
  Explain(piece, rest - heap);
  return status;
}

absl::Status LedgerTaker::Locate(const Piece& piece) {
  PagesPresent pages;
  if (absl::Status s = memory_.Present(piece.start, piece.end, &pages); !s.ok()) return s;
  switch (piece.use) {
    case Use::kGlibcHeap:
      return LocateIn(piece, pages, &glibc_, /*arena=*/false);
    case Use::kPythonArena:
      return LocateIn(piece, pages, &python_, /*arena=*/true);
    case Use::kOtherAllocator:
      return LocateIn(piece, pages, &other_, /*arena=*/false);
    default:
      return LocateUnknown(piece, pages);
  }
}

absl::Status LedgerTaker::LocateAll() {
  if (absl::Status s = scan_.Open(region_.header().live_table); !s.ok()) return s;
  for (const Piece& piece : allocators_) {
    if (absl::Status s = Locate(piece); !s.ok()) return s;
  }
  return absl::OkStatus();
}

// Where the blocks cannot be located: all allocators' memory together. What they do not fill may
// hold blocks that glibc has mapped.
void LedgerTaker::Pool() {
  glibc_ = python_ = other_ = Container();
  raw_.pinned.clear();
  raw_.ledger.arenas = raw_.ledger.pinned_arenas = raw_.ledger.pinned_free_bytes = 0;
  const auto live = static_cast<uint64_t>(raw_.ledger.live_bytes);
  uint64_t rss = 0, unknown = 0;
  for (const Piece& piece : allocators_) {
    if (piece.bss) {
      Explain(piece, piece.rss);
    } else {
      (piece.use == Use::kUnknown ? unknown : rss) += piece.rss;
    }
  }
  const uint64_t mapped = std::min(unknown, live > rss ? live - rss : 0);
  glibc_.Add(rss + mapped, live, 0);
  explained_.unexplained += static_cast<int64_t>(unknown - mapped);
}

void LedgerTaker::AddPart(LedgerKind kind, int64_t bytes, std::vector<LedgerItem> items) {
  if (bytes == 0 && kind != LedgerKind::kUnexplained) return;
  std::erase_if(items, [](const LedgerItem& item) { return item.bytes == 0; });
  raw_.ledger.parts.push_back({kind, bytes, LargestItems(std::move(items))});
}

void LedgerTaker::AddParts() {
  std::vector<LedgerItem> files;
  for (const auto& [name, bytes] : explained_.file_bytes) files.push_back({ValidUtf8(name), bytes});
  std::vector<LedgerItem> slack;
  if (raw_.ledger.why.empty()) {
    const auto overhead = static_cast<int64_t>(glibc_.overhead);
    slack = {{"headers and rounding", overhead}, {"free", glibc_.Slack() - overhead}};
  }
  const uint64_t live = glibc_.live + python_.live + other_.live;
  AddPart(LedgerKind::kLive, static_cast<int64_t>(live));
  AddPart(LedgerKind::kAllocatorSlack, glibc_.Slack(), std::move(slack));
  AddPart(LedgerKind::kPythonSlack, python_.Slack());
  AddPart(LedgerKind::kOtherAllocators, other_.Slack());
  AddPart(LedgerKind::kFiles, explained_.files, std::move(files));
  AddPart(LedgerKind::kStacks, explained_.stacks);
  AddPart(LedgerKind::kAnonymous, explained_.anonymous);
  AddPart(LedgerKind::kRecorder, explained_.recorder);
  AddPart(LedgerKind::kUnexplained, explained_.unexplained);
  std::stable_sort(raw_.ledger.parts.begin(), raw_.ledger.parts.end(),
                   [](const LedgerPart& a, const LedgerPart& b) { return a.bytes > b.bytes; });
}

absl::StatusOr<RawLedger> LedgerTaker::Take(bool locate) {
  Ledger& ledger = raw_.ledger;
  ledger.taken_realtime_ns = RealNanos();
  const AddressHints hints = Hints();
  absl::StatusOr<std::vector<Vma>> vmas = ReadSmaps(pid_);
  if (!vmas.ok()) return vmas.status();
  vmas_ = *std::move(vmas);
  ledger.live_bytes = ReadTotals(region_).now_bytes;
  for (const Vma& vma : vmas_) ledger.rss_bytes += static_cast<int64_t>(vma.rss);
  if (ledger.rss_bytes == 0) return absl::NotFoundError("the process has ended");
  for (const Piece& piece : MapAddresses(vmas_, hints, &memory_)) SortOut(piece);
  const Explained before = explained_;
  absl::Status s = absl::ResourceExhaustedError(
      "it has so much memory that it was not looked through while it ran; `memtrace snapshot` "
      "does");
  if (locate) s = LocateAll();
  if (!s.ok()) {
    ledger.why = std::string(s.message());
    explained_ = before;
    Pool();
  }
  raw_.anonymous = explained_.anonymous_bytes;
  AddParts();
  return std::move(raw_);
}

}  // namespace

absl::StatusOr<RawLedger> TakeLedger(const RegionFile& region, int32_t pid, bool locate) {
  return LedgerTaker(region, pid).Take(locate);
}

Ledger ReadLedger(const RegionFile& region, int32_t pid, Symbolizer* symbolizer) {
  absl::StatusOr<RawLedger> raw = TakeLedger(region, pid);
  if (raw.ok()) return NamedLedger(region, *std::move(raw), symbolizer);
  Ledger none;
  none.why = std::string(raw.status().message());
  return none;
}

}  // namespace memtrace
