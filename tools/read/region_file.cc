#include "tools/read/region_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "tools/read/fault_guard.h"

namespace memtrace {
namespace {

constexpr uint64_t kMinBytes = kHeaderBytes + kTimelinePoints * sizeof(TimelinePoint);
// What all sections together may hold: beyond it a size is nonsense, not a region.
constexpr uint64_t kMaxBytes = kSectionCount * (uint64_t{kFirstExtentBytes} << (kMaxExtents - 1));

absl::Status OpenError(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(absl::StrFormat("%s: there is no such file", path));
    case ELOOP:
      return absl::FailedPreconditionError(absl::StrFormat(
          "%s: a symbolic link, not a region; give the path of the region itself", path));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(absl::StrFormat(
          "%s: not yours to read; a traced process can be looked at by its own user only", path));
    default:
      return absl::UnknownError(
          absl::StrFormat("%s: cannot be opened: %s", path, std::strerror(error)));
  }
}

// Its maker has not got as far as to give it a length, or to store the magic number.
absl::Status NotComplete(const std::string& path) {
  return absl::UnavailableError(
      absl::StrFormat("%s: not complete yet; its process is just starting, or died then", path));
}

}  // namespace

// One mapping of the file, or one buffer in memory.
struct RegionFile::Mapping {
  void* address = nullptr;
  size_t size = 0;
  int guard = -1;
  bool owned_memory = false;

  ~Mapping() {
    UnguardRange(guard);
    if (owned_memory) {
      std::free(address);
    } else if (address != nullptr) {
      munmap(address, size);
    }
  }
};

absl::Status CheckRegionOwner(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return OpenError(path, errno);
  if (S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrFormat("%s: a folder, not a region", path));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s: not a plain file, so not a region", path));
  }
  if (info.st_uid != geteuid()) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "%s: belongs to another user (uid %d); a traced process can be looked at by its own user "
        "only",
        path, static_cast<int>(info.st_uid)));
  }
  if (info.st_nlink > 1) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: has %d hard links, and memtrace never makes any; remove the other links first", path,
        static_cast<int>(info.st_nlink)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RegionFile>> RegionFile::Open(const std::string& path) {
  std::unique_ptr<RegionFile> region(new RegionFile(path));
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  region->fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (region->fd_ < 0) return OpenError(path, errno);
  if (absl::Status s = CheckRegionOwner(region->fd_, path); !s.ok()) return s;
  struct stat info;
  if (fstat(region->fd_, &info) != 0) return OpenError(path, errno);
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  region->size_ = size;
  region->allocated_ = static_cast<uint64_t>(info.st_blocks) * 512;
  if (size > kMaxBytes) {
    return absl::DataLossError(
        absl::StrFormat("%s: %d bytes is more than a region can have; damaged", path, size));
  }
  if (size == 0) return NotComplete(path);
  if (size < kMinBytes) {
    return absl::DataLossError(
        absl::StrFormat("%s: %d bytes, and a region has %d at least; cut off, or not a region",
                        path, size, kMinBytes));
  }
  if (!region->Map(kMinBytes) || !region->MapUpTo(region->header().next_offset)) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s: cannot be mapped: %s", path, std::strerror(errno)));
  }
  if (absl::Status s = region->CheckHeader(); !s.ok()) return s;
  return region;
}

absl::StatusOr<std::unique_ptr<RegionFile>> RegionFile::FromBytes(const void* bytes, size_t size,
                                                                  const std::string& name) {
  std::unique_ptr<RegionFile> region(new RegionFile(name));
  if (size < kMinBytes) {
    return absl::DataLossError(absl::StrFormat("%s: cut off after %d bytes", name, size));
  }
  auto mapping = std::make_unique<Mapping>();
  // Rounded up for aligned_alloc; the bytes after `size` are never handed out.
  mapping->address = std::aligned_alloc(4096, (size + 4095) / 4096 * 4096);
  mapping->owned_memory = true;
  if (mapping->address == nullptr) return absl::ResourceExhaustedError("out of memory");
  std::memcpy(mapping->address, bytes, size);
  region->base_ = static_cast<const std::byte*>(mapping->address);
  region->size_ = region->allocated_ = region->mapped_ = size;
  region->mappings_.push_back(std::move(mapping));
  if (absl::Status s = region->CheckHeader(); !s.ok()) return s;
  return region;
}

RegionFile::RegionFile(std::string path) : path_(std::move(path)) {}

RegionFile::~RegionFile() {
  mappings_.clear();
  if (fd_ >= 0) close(fd_);
}

bool RegionFile::Map(uint64_t size) const {
  void* address = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_, 0);
  if (address == MAP_FAILED) return false;
  auto mapping = std::make_unique<Mapping>();
  mapping->address = address;
  mapping->size = size;
  mapping->guard = GuardRange(address, size);
  if (mapping->guard < 0) {
    errno = ENOMEM;
    return false;
  }
  base_ = static_cast<const std::byte*>(address);
  mapped_ = size;
  mappings_.push_back(std::move(mapping));
  return true;
}

// Only what holds content is mapped: the whole of a sparse file may be more than an address-space
// limit allows.
bool RegionFile::MapUpTo(uint64_t end) const {
  end = std::min(end, size_);
  return end <= mapped_ || Map(end);
}

void RegionFile::Refresh() const {
  struct stat info;
  if (fd_ < 0 || fstat(fd_, &info) != 0) return;
  size_ = std::min(static_cast<uint64_t>(info.st_size), kMaxBytes);
  allocated_ = static_cast<uint64_t>(info.st_blocks) * 512;
}

const std::byte* RegionFile::At(uint64_t offset, uint64_t size) const {
  if (size <= mapped_ && offset <= mapped_ - size) return base_ + offset;
  if (fd_ < 0 || size > size_ || offset > size_ - size) return nullptr;
  const uint64_t end = offset + size;
  const uint64_t goal = std::max(end, mapped_ * 2);
  return MapUpTo(goal) && end <= mapped_ ? base_ + offset : nullptr;
}

absl::Status RegionFile::CheckHeader() const {
  const uint64_t magic = header().magic.load(std::memory_order_acquire);
  if (magic == 0) return NotComplete(path_);
  if (magic != kRegionMagic) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s: not a memtrace region (it starts with other bytes)", path_));
  }
  if (header().layout_version != kLayoutVersion) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: written by a library of layout version %d, and this tool reads version %d; use the "
        "`memtrace` that came with that library",
        path_, header().layout_version, kLayoutVersion));
  }
  if (header().header_bytes != kHeaderBytes) {
    return absl::DataLossError(
        absl::StrFormat("%s: damaged: the header says it has %d bytes instead of %d", path_,
                        header().header_bytes, kHeaderBytes));
  }
  return absl::OkStatus();
}

absl::Status RegionFile::Check() const {
  for (const auto& mapping : mappings_) {
    if (GuardTripped(mapping->guard)) {
      return absl::DataLossError(
          absl::StrFormat("%s: was cut off while it was read, so its figures are lost", path_));
    }
  }
  return absl::OkStatus();
}

}  // namespace memtrace
