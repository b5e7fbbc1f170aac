#include "tools/read/mappings.h"

#include <algorithm>
#include <atomic>
#include <tuple>

#include "tools/read/section_view.h"

namespace memtrace {
namespace {

constexpr uint64_t kAddresses = uint64_t{1} << 47;
constexpr int kTries = 8;

// False: never used, or being written all the time.
bool CopyRecord(const MappingRecord& record, MappedRange* out) {
  for (int i = 0; i < kTries; ++i) {
    const uint64_t before = record.seq.load(std::memory_order_acquire);
    if (before == 0) return false;
    if (before % 2 != 0) continue;
    out->start = __atomic_load_n(&record.start, __ATOMIC_RELAXED);
    out->end = __atomic_load_n(&record.end, __ATOMIC_RELAXED);
    out->site = __atomic_load_n(&record.site, __ATOMIC_RELAXED);
    out->kind = static_cast<MappingKind>(__atomic_load_n(&record.kind, __ATOMIC_RELAXED));
    std::atomic_thread_fence(std::memory_order_acquire);
    if (record.seq.load(std::memory_order_relaxed) == before) return true;
  }
  return false;
}

bool IsSane(const MappedRange& range) {
  const auto kind = static_cast<uint32_t>(range.kind);
  return range.start < range.end && range.end <= kAddresses && kind >= 1 &&
         kind <= static_cast<uint32_t>(MappingKind::kPythonAllocator);
}

}  // namespace

std::vector<MappedRange> ReadMappings(const RegionFile& region) {
  const SectionView section(region, kMappings);
  const uint64_t count = section.Count();
  std::vector<MappedRange> ranges;
  for (uint64_t i = 0; i < count; ++i) {
    const auto* record = section.InPlace<MappingRecord>(i);
    MappedRange range;
    if (record != nullptr && CopyRecord(*record, &range) && IsSane(range)) ranges.push_back(range);
  }
  std::sort(ranges.begin(), ranges.end(), [](const MappedRange& a, const MappedRange& b) {
    return std::tie(a.start, a.end) < std::tie(b.start, b.end);
  });
  uint64_t end = 0;
  for (MappedRange& range : ranges) {
    range.start = std::max(range.start, end);
    end = std::max(end, range.end);
  }
  std::erase_if(ranges, [](const MappedRange& range) { return range.start >= range.end; });
  return ranges;
}

}  // namespace memtrace
