#include "tools/read/live_scan.h"

#include <algorithm>

namespace memtrace {
namespace {

// Both planes of the coarse array have a word for each 64 bytes: a page of them is 64 KiB of heap.
constexpr uint64_t kPair = 2 * kLiveGranule;
constexpr uint64_t kStep = kPageBytes / sizeof(uint32_t) * kPair;
constexpr uint64_t kWindow = 256 * kStep;
constexpr uint64_t kAddresses = uint64_t{1} << 47;
constexpr uint32_t kFurther = 4;  // words behind the window that a block's size may be in

uint32_t CodeOf(uint32_t word) { return word & ((1u << kLiveTagBits) - 1); }

bool Starts(uint32_t word) {
  const uint32_t code = CodeOf(word);
  return code != 0 && code != kLiveId && code != kLiveMarker;
}

}  // namespace

absl::Status LiveScan::Open(uint64_t live_table) {
  if (live_table == 0) return absl::NotFoundError("the process has not told where its table is");
  if (absl::Status s = memory_.Read(live_table, &shadows_, sizeof(shadows_)); !s.ok()) return s;
  if (shadows_.coarse == 0) {
    return absl::UnimplementedError("its address space is limited, so its table is a tree");
  }
  return absl::OkStatus();
}

uint32_t LiveScan::Coarse(uint64_t granule) const {
  const uint64_t index = (granule - window_) / kPair;
  const std::vector<uint32_t>& plane = words_[granule / kLiveGranule % 2];
  return index < plane.size() ? plane[index] : 0;
}

uint64_t LiveScan::BytesAt(uint64_t granule, uint32_t word) const {
  const uint32_t code = CodeOf(word);
  if (code < kLiveSizeNext) return LiveBytesOf(code);
  uint64_t bytes = Coarse(granule + kLiveGranule) >> kLiveTagBits;
  if (code != kLiveSizeNext) {
    const uint64_t high = Coarse(granule + 2 * kLiveGranule) >> kLiveTagBits;
    bytes |= high << (32 - kLiveTagBits);
  }
  return std::min(bytes, kAddresses);
}

absl::Status LiveScan::Finer(uint64_t base, uint64_t offset, uint64_t start, uint64_t end,
                             Visit visit) {
  if (base == 0) return absl::OkStatus();
  bool any = false;
  finer_.resize(LiveFineIndex(end) - LiveFineIndex(start));
  const uint64_t first = base + LiveFineIndex(start) * sizeof(uint32_t);
  if (absl::Status s = memory_.ReadSparse(first, &finer_, &any); !s.ok() || !any) return s;
  for (size_t i = 0; i < finer_.size(); ++i) {
    if (!Starts(finer_[i])) continue;
    const uint64_t address = start + i * 16;
    visit(address + offset, BytesAt(address / kLiveGranule * kLiveGranule, finer_[i]),
          finer_[i] >> 8);
  }
  return absl::OkStatus();
}

absl::Status LiveScan::Window(uint64_t start, uint64_t end, Visit visit) {
  window_ = start / kPair * kPair;
  bool any = false;
  for (uint64_t plane = 0; plane < 2; ++plane) {
    bool some = false;
    words_[plane].resize((end - window_ + kPair - 1) / kPair + kFurther);
    const uint64_t index = LiveCoarseIndex(window_ + plane * kLiveGranule);
    absl::Status s =
        memory_.ReadSparse(shadows_.coarse + index * sizeof(uint32_t), &words_[plane], &some);
    if (!s.ok()) return s;
    any |= some;
  }
  for (uint64_t granule = window_; any && granule < end; granule += kLiveGranule) {
    const uint32_t word = Coarse(granule);
    if (!Starts(word)) continue;
    const uint64_t address = granule + ((word & kLiveHalf) != 0 ? 16 : 0);
    if (address >= start && address < end) visit(address, BytesAt(granule, word), word >> 8);
  }
  if (absl::Status s = Finer(shadows_.fine, 0, start, end, visit); !s.ok()) return s;
  return Finer(shadows_.odd, 8, start, end, visit);
}

absl::Status LiveScan::ForEach(uint64_t start, uint64_t end, Visit visit) {
  end = std::min(end, kAddresses);
  for (uint64_t at = start; at < end;) {
    const uint64_t next = std::min(end, at / kWindow * kWindow + kWindow);
    if (absl::Status s = Window(at, next, visit); !s.ok()) return s;
    at = next;
  }
  return absl::OkStatus();
}

}  // namespace memtrace
