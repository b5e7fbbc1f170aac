// Bounds-checked access to the sections of a region.
//
// Role. Turns (section, index) into bytes by way of the extents table, believing nothing: `used`
// and every extent offset come from the file and may be anything. A record is copied out, since the
// writer goes on and a record may lie across two extents.
//
// Invariants: no byte outside the file is ever touched; Count() never says more than the file's
// real size allows, so that loops over it are bounded by that size and not by the sparse file's.
//
// Threading: as RegionFile.

#ifndef MEMTRACE_TOOLS_READ_SECTION_VIEW_H_
#define MEMTRACE_TOOLS_READ_SECTION_VIEW_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/layout.h"
#include "tools/read/region_file.h"

namespace memtrace {

class SectionView {
 public:
  SectionView(const RegionFile& region, SectionId id) : region_(region), id_(id) {}

  // Records reserved by now (bytes for kStrings).
  uint64_t Count() const;

  // Copies record `index`; false when the file does not hold it. The record may be all zero.
  template <typename T>
  bool Copy(uint64_t index, T* out) const {
    return CopyBytes(index * sizeof(T), out, sizeof(T));
  }

  // A record that lies in one extent as a whole and is aligned for T, in place: cells and threads,
  // whose counters move while we look.
  template <typename T>
  const T* InPlace(uint64_t index, uint64_t bytes = sizeof(T)) const {
    return reinterpret_cast<const T*>(Contiguous(index * bytes, bytes, alignof(T)));
  }

  bool CopyBytes(uint64_t start, void* out, uint64_t size) const;

 private:
  const std::byte* Contiguous(uint64_t start, uint64_t size, uint64_t alignment) const;

  const RegionFile& region_;
  const SectionId id_;
};

// The text of a string id; an error when it is not there. Bytes that are not UTF-8 come out as
// \xNN, so that every consumer may rely on valid text.
absl::StatusOr<std::string> ReadString(const RegionFile& region, uint32_t id);

// The same without that change, for paths that are opened.
absl::StatusOr<std::string> ReadRawString(const RegionFile& region, uint32_t id);

std::string ValidUtf8(const std::string& text);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_SECTION_VIEW_H_
