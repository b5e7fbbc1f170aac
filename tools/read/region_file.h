// A region file, opened safely and mapped read-only.
//
// Role. The only place that opens and maps region files. Whoever reads one gets its bytes from
// At(), which never hands out a byte outside the file; what the bytes mean is tools/read/decode.h's
// business.
//
// Invariants
//  1. Only a regular file of the present user with one link is opened: no symlink, FIFO, device,
//     folder, nor another user's file, so that opening never blocks and never reads what somebody
//     else planted.
//  2. A pointer from At() stays valid as long as the RegionFile, also when the file grows (the file
//     is then mapped anew, and the older mapping is kept).
//  3. A file that is truncated while it is read never kills the reader: missing pages read as zeros
//     from then on, and Check() reports it. Ask Check() after reading, before believing the
//     figures.
//
// Threading. One RegionFile belongs to one thread; several may be open at once. The first Open()
// installs a handler of SIGBUS for the whole process, which passes on faults outside any region.

#ifndef MEMTRACE_TOOLS_READ_REGION_FILE_H_
#define MEMTRACE_TOOLS_READ_REGION_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/layout.h"

namespace memtrace {

class RegionFile {
 public:
  // Fails with kNotFound, kPermissionDenied (another user's), kFailedPrecondition (not a plain
  // file, or of another layout version), kUnavailable (not complete yet) or kDataLoss (damaged).
  static absl::StatusOr<std::unique_ptr<RegionFile>> Open(const std::string& path);

  // The same checks on bytes in memory; for tests and fuzzing.
  static absl::StatusOr<std::unique_ptr<RegionFile>> FromBytes(const void* bytes, size_t size,
                                                               const std::string& name);

  ~RegionFile();
  RegionFile(const RegionFile&) = delete;
  RegionFile& operator=(const RegionFile&) = delete;

  const std::string& path() const { return path_; }
  // Bytes the file has on paper; a live one is sparse and far larger than its content.
  uint64_t size() const { return size_; }
  // Bytes the file really takes up.
  uint64_t allocated() const { return allocated_; }
  const Header& header() const { return *reinterpret_cast<const Header*>(base_); }

  // The bytes [offset, offset + size), or null when the file does not hold them all.
  const std::byte* At(uint64_t offset, uint64_t size) const;

  // kDataLoss when part of the file vanished while it was read.
  absl::Status Check() const;

 private:
  struct Mapping;

  explicit RegionFile(std::string path);
  bool Map(uint64_t size) const;
  bool MapUpTo(uint64_t end) const;
  void Refresh() const;
  absl::Status CheckHeader() const;

  friend class SectionView;

  std::string path_;
  int fd_ = -1;
  mutable uint64_t size_ = 0;
  mutable uint64_t allocated_ = 0;
  mutable uint64_t mapped_ = 0;
  mutable const std::byte* base_ = nullptr;
  mutable std::vector<std::unique_ptr<Mapping>> mappings_;
};

// One line on why `path` cannot be opened as a region, as Open() says it. Exposed for the commands
// that check before they delete.
absl::Status CheckRegionOwner(int fd, const std::string& path);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_REGION_FILE_H_
