// libFuzzer target: any bytes as a region give an error, or a profile that is well formed, can be
// written, and is read again as the same one. Input: tests/fuzz/sparse_bytes.h.

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/sparse_bytes.h"
#include "tests/unit/tools/read/well_formed.h"
#include "tools/model/snapshot_file.h"
#include "tools/read/decode.h"
#include "tools/read/figures.h"
#include "tools/read/mappings.h"
#include "tools/read/place_names.h"
#include "tools/read/region_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string file = memtrace::testing::ExpandSparse(bytes, size);
  auto region = memtrace::RegionFile::FromBytes(file.data(), file.size(), "fuzz");
  if (!region.ok()) return 0;
  // What `memtrace list` shows of a region.
  const memtrace::HeaderTotals totals = memtrace::ReadTotals(**region);
  if (totals.now_bytes < 0 || totals.peak_bytes < totals.now_bytes) __builtin_trap();
  if (memtrace::CountAllocations(**region) < 0) __builtin_trap();
  // What a ledger of its process would begin with, and the names of its lines.
  uint64_t end = 0;
  memtrace::PlaceNames names(**region, nullptr);
  for (const memtrace::MappedRange& range : memtrace::ReadMappings(**region)) {
    if (range.start < end || range.start >= range.end) __builtin_trap();
    end = range.end;
    if (names.OfSite(range.site).empty()) __builtin_trap();
  }
  const absl::StatusOr<memtrace::Profile> profile = memtrace::DecodeRegion(**region);
  if (!profile.ok()) return 0;
  if (!memtrace::testing::WhatIsMalformed(*profile).empty()) __builtin_trap();
  const absl::StatusOr<std::string> snapshot = memtrace::SnapshotBytes(*profile);
  if (!snapshot.ok()) __builtin_trap();
  const absl::StatusOr<memtrace::Profile> again = memtrace::ReadSnapshotBytes(*snapshot);
  if (!again.ok() || !(again->Totals() == profile->Totals())) __builtin_trap();
  return 0;
}
