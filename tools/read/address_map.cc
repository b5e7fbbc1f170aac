#include "tools/read/address_map.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "tools/model/file_names.h"

namespace memtrace {
namespace {

constexpr uint64_t kArenaBytes = uint64_t{64} << 20;  // HEAP_MAX_SIZE of glibc on 64 bits

bool NoAccess(const Vma& vma) { return !vma.readable && !vma.writable && vma.anonymous(); }

bool IsRecorderFile(const Vma& vma, const AddressHints& hints) {
  if (hints.region_inode != 0 && vma.inode == hints.region_inode &&
      absl::EndsWith(hints.region_path, BaseName(vma.name))) {
    return true;
  }
  return absl::StartsWith(BaseName(vma.name), "libmemtrace.so");
}

bool IsRecorderMemory(const Vma& vma) {
  return vma.anonymous() && vma.no_dump && (vma.no_huge || vma.no_swap);
}

class Mapper {
 public:
  Mapper(const std::vector<Vma>& vmas, const AddressHints& hints, ProcessMemory* memory)
      : vmas_(vmas), hints_(hints), memory_(memory) {}

  std::vector<Piece> Map() {
    for (size_t i = 0; i < vmas_.size(); ++i) Split(i);
    return std::move(pieces_);
  }

 private:
  // What a mapping is, as far as no record says it better.
  Use UseOf(size_t i);
  Use AnonymousUse(size_t i) const;
  // Whether records of kMappings may speak of it: anonymous memory, shared too.
  bool MayBeMapped(const Vma& vma) const {
    return vma.anonymous() || vma.name == "[heap]" || absl::StartsWith(vma.name, "/dev/zero") ||
           absl::StartsWith(vma.name, "[anon");
  }
  const Vma* Before(size_t i) const {
    return i > 0 && vmas_[i - 1].end == vmas_[i].start ? &vmas_[i - 1] : nullptr;
  }
  const Vma* After(size_t i) const {
    return i + 1 < vmas_.size() && vmas_[i + 1].start == vmas_[i].end ? &vmas_[i + 1] : nullptr;
  }
  uint64_t ArenaStart(size_t i) const;
  void Split(size_t i);
  void Add(uint64_t start, uint64_t end, Use use, uint32_t site, size_t vma) {
    const bool bss =
        (use == Use::kFile || (use == Use::kRecorder && !IsRecorderMemory(vmas_[vma])));
    if (start < end) {
      pieces_.push_back({start, end, 0, use, site, vma, bss && vmas_[vma].anonymous()});
    }
  }
  void Cut(uint64_t start, uint64_t end, Use use, size_t vma);
  void ShareRss(size_t first, const Vma& vma);

  const std::vector<Vma>& vmas_;
  const AddressHints& hints_;
  ProcessMemory* const memory_;
  std::vector<Piece> pieces_;
  Use file_use_ = Use::kFile;  // of the file mapping seen last
};

// Where in the mapping an arena of glibc begins that goes on to its end; the mapping's end:
// nowhere.
uint64_t Mapper::ArenaStart(size_t i) const {
  const Vma& vma = vmas_[i];
  if (!vma.anonymous() || !vma.writable || vma.shared) return vma.end;
  const uint64_t start = (vma.end - 1) / kArenaBytes * kArenaBytes;
  if (start < vma.start) return vma.end;
  const uint64_t limit = start + kArenaBytes;
  const Vma* rest = After(i);
  // All of it in use, or without access to the rest; that may have merged with another arena's.
  if (rest != nullptr && NoAccess(*rest) && rest->end >= limit) return start;
  return vma.end;
}

Use Mapper::AnonymousUse(size_t i) const {
  const Vma& vma = vmas_[i];
  if (IsRecorderMemory(vma)) return Use::kRecorder;
  const auto inside = [&vma](uint64_t at) { return at >= vma.start && at < vma.end; };
  if (std::any_of(hints_.stacks.begin(), hints_.stacks.end(), inside)) return Use::kStack;
  const Vma* before = Before(i);
  if (before == nullptr || vma.shared) return Use::kUnknown;
  if (NoAccess(*before) && before->size() == kPageBytes && vma.writable) return Use::kStack;
  if (before->inode != 0 && before->writable && !before->shared) return file_use_;
  return Use::kUnknown;
}

Use Mapper::UseOf(size_t i) {
  const Vma& vma = vmas_[i];
  if (vma.anonymous()) return AnonymousUse(i);
  if (vma.name == "[heap]" || absl::StrContains(vma.name, "glibc: malloc")) return Use::kGlibcHeap;
  if (absl::StartsWith(vma.name, "[stack") || absl::StrContains(vma.name, "pthread stack")) {
    return Use::kStack;
  }
  if (absl::StartsWith(vma.name, "[anon")) return Use::kUnknown;
  file_use_ = IsRecorderFile(vma, hints_) ? Use::kRecorder : Use::kFile;
  return file_use_;
}

// The part [start, end) of a mapping of that use; where it is of none, records may say more.
void Mapper::Cut(uint64_t start, uint64_t end, Use use, size_t vma) {
  if (!MayBeMapped(vmas_[vma]) || IsRecorderMemory(vmas_[vma])) {
    Add(start, end, use, 0, vma);
    return;
  }
  auto range = std::lower_bound(hints_.mapped.begin(), hints_.mapped.end(), start,
                                [](const MappedRange& r, uint64_t at) { return r.end <= at; });
  for (; range != hints_.mapped.end() && range->start < end; ++range) {
    const uint64_t from = std::max(start, range->start), to = std::min(end, range->end);
    Add(start, from, use, 0, vma);
    switch (range->kind) {
      case MappingKind::kAllocator:
        Add(from, to, Use::kOtherAllocator, 0, vma);
        break;
      case MappingKind::kPythonAllocator:
        Add(from, to, Use::kPythonArena, 0, vma);
        break;
      default:
        // A stack that the program has made for a thread is one.
        Add(from, to, use == Use::kStack ? use : Use::kAnonymous, range->site, vma);
    }
    start = to;
  }
  Add(start, end, use, 0, vma);
}

void Mapper::Split(size_t i) {
  const Vma& vma = vmas_[i];
  const Use use = UseOf(i);
  if (vma.rss == 0) return;
  const size_t first = pieces_.size();
  const uint64_t arena = use == Use::kUnknown ? ArenaStart(i) : vma.end;
  Cut(vma.start, arena, use, i);
  Cut(arena, vma.end, Use::kGlibcHeap, i);
  ShareRss(first, vma);
}

// How much of each piece is resident, so that the sum is the mapping's.
void Mapper::ShareRss(size_t first, const Vma& vma) {
  if (pieces_.size() - first == 1) {
    pieces_[first].rss = vma.rss;
    return;
  }
  PagesPresent pages;
  const bool known = memory_ != nullptr && memory_->Present(vma.start, vma.end, &pages).ok();
  uint64_t left = vma.rss;
  for (size_t k = first; k < pieces_.size(); ++k) {
    Piece& piece = pieces_[k];
    const double part =
        static_cast<double>(piece.end - piece.start) / static_cast<double>(vma.size());
    const auto wanted = known ? pages.Bytes(piece.start, piece.end)
                              : static_cast<uint64_t>(part * static_cast<double>(vma.rss));
    piece.rss = std::min(wanted, left);
    left -= piece.rss;
  }
  // Pages that came or went between the two looks.
  for (size_t k = first; k < pieces_.size() && left > 0; ++k) {
    const uint64_t room = pieces_[k].end - pieces_[k].start - pieces_[k].rss;
    const uint64_t more = std::min(room, left);
    pieces_[k].rss += more;
    left -= more;
  }
  pieces_.back().rss += left;  // smaps was not of one moment either
}

}  // namespace

std::vector<Piece> MapAddresses(const std::vector<Vma>& vmas, const AddressHints& hints,
                                ProcessMemory* memory) {
  return Mapper(vmas, hints, memory).Map();
}

}  // namespace memtrace
