#include "interpose/region.h"

#include <string.h>

namespace memtrace {

constinit Region g_region;

namespace {

// Memory is taken in steps: small ones at first, so that a shell costs little, then of 64 KiB.
constexpr uint64_t kCommitStep = 64 * 1024;

// When the system has no more, it is asked again after so many requests: asking takes it longer
// than the program's whole allocation takes.
constexpr uint32_t kTurnDown = 1024;

constexpr uint64_t kFirstExtentOffset = kHeaderBytes + kTimelinePoints * sizeof(TimelinePoint);

uint64_t StepEnd(uint64_t end_byte) {
  const uint64_t step = end_byte < kCommitStep ? 4096 : kCommitStep;
  return (end_byte + step - 1) / step * step;
}

}  // namespace

bool Region::Create() {
  process_start_ = os::ProcessStart();
  exec_index_ = 0;
  for (int place = 0; place < os::kPlaces; place++) {
    if (!os::CreateRegionFile(place, process_start_, &exec_index_, &file_)) continue;
    if (Begin()) return true;
    header_ = nullptr;
    for (auto& committed : committed_) committed.store(0);
    for (auto& refused : refused_) refused.store(0);
    os::DropRegionFile(place, &file_);
  }
  return false;
}

void Region::Drop() {
  header_ = nullptr;
  os::DropRegionFile(os::kFolders, &file_);
}

// False when there is not even room for the first records.
bool Region::Begin() {
  if (!os::Commit(file_, 0, kFirstExtentOffset)) return false;
  header_ = reinterpret_cast<Header*>(file_.base);
  header_->next_offset.store(kFirstExtentOffset, std::memory_order_relaxed);
  header_->file_bytes = file_.bytes;
  header_->peak_epoch.store(1, std::memory_order_relaxed);
  header_->timeline.step_ns = 1000000;
  if (file_.path[0] == 0) header_->flags |= kFlagPrivate;
  FillIdentity();
  // Id 0 means "none" in every section: reserve it.
  bool ok = ReserveBytes(8) != kNone;
  for (SectionId id : {kCodes, kFrames, kNodes, kThreads, kModules}) {
    ok = ok && Reserve(id, 1) != kNone;
  }
  return ok && Reserve(kSites, kSitesPerSmallPage) != kNone;
}

void Region::FillIdentity() {
  header_->layout_version = kLayoutVersion;
  header_->header_bytes = kHeaderBytes;
  header_->pid = os::ProcessId();
  header_->parent_pid = os::ParentProcessId();
  header_->uid = os::UserId();
  header_->pid_namespace = os::PidNamespace();
  header_->exec_index = exec_index_;
  header_->process_start = process_start_;
  header_->start_realtime_ns = os::RealNanos();
  header_->start_boot_ns = os::BootNanos();
}

// The file offset of a section's extent, which is placed on first use.
uint64_t Region::ExtentOffset(SectionId id, int extent) {
  std::atomic<uint64_t>& place = header_->sections[id].extents[extent];
  uint64_t offset = place.load(std::memory_order_acquire);
  if (offset != 0) return offset;
  // A try that does not fit takes nothing, so that smaller extents still find room.
  uint64_t fresh = header_->next_offset.load(std::memory_order_relaxed);
  do {
    if (fresh + ExtentBytes(extent) > file_.bytes) return 0;
  } while (!header_->next_offset.compare_exchange_weak(fresh, fresh + ExtentBytes(extent),
                                                       std::memory_order_relaxed));
  // The loser of a race leaves a hole in a sparse file, which costs nothing.
  return place.compare_exchange_strong(offset, fresh, std::memory_order_acq_rel) ? fresh : offset;
}

// Backs the bytes up to `end_byte` and a little more.
bool Region::CommitSection(SectionId id, uint64_t end_byte) {
  uint64_t done = committed_[id].load(std::memory_order_acquire);
  const uint64_t goal = StepEnd(end_byte);
  if (const uint32_t left = refused_[id].load(std::memory_order_relaxed)) {
    refused_[id].store(left - 1, std::memory_order_relaxed);
    return false;
  }
  while (done < goal) {
    const ExtentPosition at = LocateByte(done);
    const uint64_t room = ExtentBytes(at.extent) - at.offset;
    const uint64_t bytes = goal - done < room ? goal - done : room;
    const uint64_t offset = ExtentOffset(id, at.extent);
    if (offset == 0 || !os::Commit(file_, offset + at.offset, bytes)) {
      // A small step: nobody else's would be smaller.
      if (goal - done <= kCommitStep) refused_[id].store(kTurnDown, std::memory_order_relaxed);
      return done >= end_byte;
    }
    // Another thread may have gone further; populating twice does no harm.
    committed_[id].compare_exchange_strong(done, done + bytes, std::memory_order_acq_rel);
    done = committed_[id].load(std::memory_order_acquire);
  }
  return true;
}

uint64_t Region::Reserve(SectionId id, uint64_t count) {
  std::atomic<uint64_t>& used = header_->sections[id].used;
  const uint64_t size = RecordBytes(id);
  uint64_t first = used.load(std::memory_order_relaxed);
  do {
    const uint64_t end = (first + count) * size;
    if (end > committed_[id].load(std::memory_order_acquire) && !CommitSection(id, end)) {
      return kNone;
    }
  } while (!used.compare_exchange_weak(first, first + count, std::memory_order_acq_rel));
  return first;
}

uint64_t Region::ReserveBytes(uint64_t bytes) {
  std::atomic<uint64_t>& used = header_->sections[kStrings].used;
  bytes = (bytes + 7) & ~uint64_t{7};
  uint64_t seen = used.load(std::memory_order_relaxed);
  uint64_t first;
  do {
    first = seen;
    const ExtentPosition at = LocateByte(first);
    const uint64_t room = ExtentBytes(at.extent) - at.offset;
    if (bytes > room) {  // extents are not contiguous: start in one that is large enough
      int extent = at.extent + 1;
      while (extent < kMaxExtents && ExtentBytes(extent) < bytes) extent++;
      if (extent >= kMaxExtents) return kNone;
      first = ExtentBytes(extent);  // an extent starts where it is long
    }
    const uint64_t end = first + bytes;
    if (end > committed_[kStrings].load(std::memory_order_acquire) &&
        !CommitSection(kStrings, end)) {
      return kNone;
    }
  } while (!used.compare_exchange_weak(seen, first + bytes, std::memory_order_acq_rel));
  return first;
}

bool Region::ReserveUpTo(SectionId id, uint64_t count) {
  const uint64_t end = count * RecordBytes(id);
  if (end > committed_[id].load(std::memory_order_acquire) && !CommitSection(id, end)) return false;
  std::atomic<uint64_t>& used = header_->sections[id].used;
  uint64_t seen = used.load(std::memory_order_relaxed);
  while (seen < count && !used.compare_exchange_weak(seen, count, std::memory_order_acq_rel)) {
  }
  return true;
}

// Copies a section of this region to the same place in another file, as far as that file's header
// knows it: the parent's other threads may go on and reserve more.
bool Region::CopySection(const os::RegionFile& to, SectionId id) const {
  const Section& section = reinterpret_cast<const Header*>(to.base)->sections[id];
  const uint64_t bytes = section.used.load(std::memory_order_acquire) * RecordBytes(id);
  for (uint64_t done = 0; done < bytes;) {
    const ExtentPosition at = LocateByte(done);
    const uint64_t room = ExtentBytes(at.extent) - at.offset;
    const uint64_t part = bytes - done < room ? bytes - done : room;
    const uint64_t offset = section.extents[at.extent].load(std::memory_order_acquire);
    const uint64_t step = (part + 4095) & ~uint64_t{4095};
    if (offset == 0 || !os::Commit(to, offset, step < room ? step : room)) return false;
    memcpy(to.base + offset, file_.base + offset, part);
    done += part;
  }
  return true;
}

// Behind all extents that the header names. Its own next_offset may be older than they are, when
// another thread placed one while the header was copied.
static uint64_t EndOfExtents(const Header& header) {
  uint64_t end = kFirstExtentOffset;
  for (const Section& section : header.sections) {
    for (int i = 0; i < kMaxExtents; i++) {
      const uint64_t offset = section.extents[i].load(std::memory_order_relaxed);
      if (offset != 0 && offset + ExtentBytes(i) > end) end = offset + ExtentBytes(i);
    }
  }
  return end;
}

bool Region::PrepareChild(os::RegionFile* file) {
  exec_index_ = 0;
  process_start_ = os::ProcessStart();
  for (int place = 0; place < os::kPlaces; place++) {
    if (!os::CreateRegionFile(place, process_start_, &exec_index_, file)) continue;
    if (CopyTo(file)) return true;
    os::DropRegionFile(place, file);
  }
  return false;
}

bool Region::CopyTo(os::RegionFile* file) const {
  if (file->bytes != file_.bytes || !os::Commit(*file, 0, kFirstExtentOffset)) return false;
  memcpy(file->base, file_.base, kHeaderBytes);
  auto* header = reinterpret_cast<Header*>(file->base);
  header->magic.store(0, std::memory_order_relaxed);
  header->next_offset.store(EndOfExtents(*header), std::memory_order_relaxed);
  for (SectionId id :
       {kStrings, kCodes, kFrames, kNodes, kSites, kBusySites, kThreads, kModules, kNativeNodes}) {
    if (!CopySection(*file, id)) return false;
  }
  // Cells stay the parent's; the child's own start empty in the same extents. So do its mappings:
  // the parent goes on changing its own.
  for (SectionId id : {kCellOwners, kCells, kSmallOwners, kSmallCells, kMappings}) {
    header->sections[id].used.store(0);
  }
  return true;
}

bool Region::AdoptInChild(os::RegionFile* file) {
  if (!os::MoveMapping(file, file_)) return false;
  file_ = *file;
  // What was copied is backed, no more: see CopySection.
  for (uint32_t id = 0; id < kSectionCount; id++) {
    const uint64_t bytes = header_->sections[id].used.load(std::memory_order_relaxed) *
                           RecordBytes(static_cast<SectionId>(id));
    committed_[id].store((bytes + 4095) & ~uint64_t{4095});
  }
  for (auto& refused : refused_) refused.store(0);
  for (LossCounter& lost : header_->lost) {
    lost.events.store(0);
    lost.bytes.store(0);
  }
  header_->flags.fetch_and(~static_cast<uint32_t>(kFlagThreaded | kFlagPrivate));
  if (file_.path[0] == 0) header_->flags |= kFlagPrivate;
  header_->timeline.count = 0;
  header_->timeline.seq.store(0);
  header_->timeline.step_ns = 1000000;
  header_->end.store(0);
  header_->end_boot_ns.store(0);
  header_->peak_boot_ns.store(0);
  header_->peak_reset_ns.store(0);
  header_->inherited_sites =
      static_cast<uint32_t>(header_->sections[kSites].used.load(std::memory_order_relaxed));
  header_->inherited_busy =
      static_cast<uint32_t>(header_->sections[kBusySites].used.load(std::memory_order_relaxed));
  FillIdentity();
  return true;
}

}  // namespace memtrace
