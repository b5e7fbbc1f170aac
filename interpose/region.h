// The writer's side of the live region (core/layout.h): making it, growing its sections, copying it
// into a forked child.
//
// Threading. Reserve and At may be called by any thread at any time; growing is lock-free: several
// threads may commit the same range, which is harmless. Create and AdoptInChild are for the one
// thread that starts or has just been forked.
// Errors. Reserve returns kNone when the region is full; the caller drops the event and counts it.

#ifndef MEMTRACE_INTERPOSE_REGION_H_
#define MEMTRACE_INTERPOSE_REGION_H_

#include <atomic>
#include <cstdint>

#include "core/layout.h"
#include "interpose/os/os.h"

namespace memtrace {

class Region {
 public:
  static constexpr uint64_t kNone = ~uint64_t{0};

  bool Create();
  // Undoes it, when tracing is given up.
  void Drop();
  // In a forked child, in two steps: a file of its own with a copy of all that was interned (the
  // parent's mapping is still there to be read), then that file at the addresses of the old one.
  bool PrepareChild(os::RegionFile* file);
  bool AdoptInChild(os::RegionFile* file);

  Header* header() const { return header_; }
  const char* path() const { return file_.path; }
  const os::RegionFile& file() const { return file_; }
  bool exists() const { return header_ != nullptr; }

  // Reserves `count` records and backs them with memory. Index of the first, or kNone.
  uint64_t Reserve(SectionId id, uint64_t count);
  // The same for strings: bytes, rounded up to 8, that do not straddle an extent.
  uint64_t ReserveBytes(uint64_t bytes);
  // Makes records [0, count) of a section usable; for sections that grow beside another.
  bool ReserveUpTo(SectionId id, uint64_t count);

  template <class Record>
  Record* At(SectionId id, uint64_t index) const {
    return reinterpret_cast<Record*>(Byte(id, index * RecordBytes(id)));
  }
  char* Byte(SectionId id, uint64_t byte) const {
    const ExtentPosition at = LocateByte(byte);
    return file_.base + header_->sections[id].extents[at.extent].load(std::memory_order_relaxed) +
           at.offset;
  }

  void CountLoss(Loss reason, uint64_t bytes) {
    if (header_ == nullptr) return;
    LossCounter& lost = header_->lost[static_cast<uint32_t>(reason)];
    lost.events.fetch_add(1, std::memory_order_relaxed);
    lost.bytes.fetch_add(bytes, std::memory_order_relaxed);
  }

 private:
  bool CommitSection(SectionId id, uint64_t end_byte);
  uint64_t ExtentOffset(SectionId id, int extent);
  bool Begin();
  void FillIdentity();
  bool CopyTo(os::RegionFile* file) const;
  bool CopySection(const os::RegionFile& to, SectionId id) const;

  os::RegionFile file_;
  Header* header_ = nullptr;
  std::atomic<uint64_t> committed_[kSectionCount] = {};  // bytes backed by memory
  std::atomic<uint32_t> refused_[kSectionCount] = {};    // requests to turn down without asking
  uint32_t exec_index_ = 0;
  uint64_t process_start_ = 0;
};

extern constinit Region g_region;

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_REGION_H_
