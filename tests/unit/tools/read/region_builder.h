// Builds regions of known content in memory, as the library would lay them out, and as a hostile
// writer might after that.
#ifndef MEMTRACE_TESTS_UNIT_TOOLS_READ_REGION_BUILDER_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_READ_REGION_BUILDER_H_

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "core/layout.h"

namespace memtrace::testing {

// Memory aligned as in a mapping: cells and threads want 64 bytes.
template <typename T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <typename U>
  explicit AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(size_t n) {
    return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{4096}));
  }
  void deallocate(T* p, size_t n) { ::operator delete (p, std::align_val_t{4096}); }
  bool operator==(const AlignedAllocator&) const { return true; }
};

class RegionBuilder {
 public:
  RegionBuilder() {
    std::memset(header_bytes_.data(), 0, header_bytes_.size());
    Header& h = header();
    h.layout_version = kLayoutVersion;
    h.header_bytes = kHeaderBytes;
    h.pid = 4711;
    h.parent_pid = 1;
    h.uid = geteuid();
    h.process_start = 99;
    h.start_realtime_ns = 1700000000000000000;
    h.start_boot_ns = 1000;
    h.end_boot_ns = 2000001000;
    h.end = static_cast<uint32_t>(ProcessEnd::kExited);
    h.peak_epoch = 1;
    h.magic = kRegionMagic;
    Append(kStrings, std::string(8, '\0'));
    for (SectionId id : {kCodes, kFrames, kNodes, kThreads, kModules, kNativeNodes}) {
      Append(id, std::string(RecordBytes(id), '\0'));
    }
    Append(kSites, std::string(kSitesPerSmallPage * sizeof(SiteRecord), '\0'));
  }

  Header& header() { return *reinterpret_cast<Header*>(header_bytes_.data()); }

  uint32_t String(const std::string& text) {
    StringRecord record = {static_cast<uint32_t>(text.size()), 0};
    std::string bytes(reinterpret_cast<char*>(&record), sizeof(record));
    bytes += text;
    bytes.resize((bytes.size() + 7) / 8 * 8);
    // As the library does: a text never lies across two extents.
    const ExtentPosition at = LocateByte(sections_[kStrings].size());
    const uint64_t room = ExtentBytes(at.extent) - at.offset;
    if (bytes.size() > room) sections_[kStrings].resize(sections_[kStrings].size() + room);
    return static_cast<uint32_t>(Append(kStrings, bytes) / 8);
  }
  uint32_t Code(const std::string& name, const std::string& file, uint32_t first_line) {
    CodeRecord record = {};
    record.name = String(name);
    record.filename = String(file);
    record.first_line = first_line;
    return Add(kCodes, record);
  }
  uint32_t PythonFrame(uint32_t code, uint32_t line) {
    return Add(kFrames, FrameRecord{0, line, PackKindOwner(FrameKind::kPython, code)});
  }
  uint32_t NativeFrame(uint32_t module, uint64_t address) {
    return Add(kFrames, FrameRecord{address, 0, PackKindOwner(FrameKind::kNative, module)});
  }
  uint32_t EvaluationFrame() {
    return Add(kFrames, FrameRecord{0, 0, PackKindOwner(FrameKind::kEvaluation, 0)});
  }
  uint32_t LabelFrame(const std::string& name) {
    header().flags |= kFlagLabels;
    return Add(kFrames, FrameRecord{0, 0, PackKindOwner(FrameKind::kLabel, String(name))});
  }
  uint32_t NativeNode(uint32_t parent, uint32_t frame) {
    return Add(kNativeNodes, NodeRecord{parent, frame});
  }
  uint32_t Node(uint32_t parent, uint32_t frame) { return Add(kNodes, NodeRecord{parent, frame}); }
  void Mapping(uint64_t seq, uint64_t start, uint64_t end, uint32_t site, MappingKind kind) {
    const uint64_t words[] = {seq, start, end, site | static_cast<uint64_t>(kind) << 32};
    static_assert(sizeof(words) == sizeof(MappingRecord));
    Append(kMappings, std::string(reinterpret_cast<const char*>(words), sizeof(words)));
  }
  uint32_t Module(const std::string& path) {
    ModuleRecord record = {};
    record.path = String(path);
    record.build_id_bytes = 2;
    record.build_id[0] = 0xab;
    record.build_id[1] = 0xcd;
    return Add(kModules, record);
  }
  uint32_t Thread(int32_t tid, const std::string& name, ThreadState state = ThreadState::kLive) {
    const uint32_t slot = static_cast<uint32_t>(sections_[kThreads].size() / sizeof(ThreadRecord));
    Append(kThreads, std::string(sizeof(ThreadRecord), '\0'));
    ThreadRecord& record = ThreadAt(slot);
    record.state = static_cast<uint32_t>(state);
    record.tid = tid;
    record.users = 1;
    std::strncpy(record.name, name.c_str(), sizeof(record.name) - 1);
    return slot;
  }
  CodeRecord& CodeAt(uint32_t code) { return At<CodeRecord>(kCodes, code); }
  FrameRecord& FrameAt(uint32_t frame) { return At<FrameRecord>(kFrames, frame); }
  ModuleRecord& ModuleAt(uint32_t module) { return At<ModuleRecord>(kModules, module); }
  ThreadRecord& ThreadAt(uint32_t slot) { return At<ThreadRecord>(kThreads, slot); }

  // A busy site, with full cells.
  uint32_t Site(uint32_t node, uint32_t caller, Domain domain, uint32_t slot) {
    return kFirstBusySite + Add(kBusySites, SiteRecord::Of(node, caller, domain, slot));
  }
  SiteRecord& SiteAt(uint32_t site) { return At<SiteRecord>(kBusySites, site - kFirstBusySite); }
  uint32_t SmallSite(uint32_t node, uint32_t caller, Domain domain, uint32_t slot) {
    return Add(kSites, SiteRecord::Of(node, caller, domain, slot));
  }
  NodeRecord& NodeAt(uint32_t node) { return At<NodeRecord>(kNodes, node); }
  NodeRecord& NativeNodeAt(uint32_t node) { return At<NodeRecord>(kNativeNodes, node); }

  // The cell of a thread for a busy site; its page is made on first use.
  Cell& CellAt(uint32_t site, uint32_t slot) {
    const uint32_t index = site - kFirstBusySite;
    const std::pair<uint32_t, uint32_t> key(index / kSitesPerBlock, slot);
    auto [it, fresh] = pages_.try_emplace(key, static_cast<uint32_t>(pages_.size()));
    if (fresh) {
      Append(kCells, std::string(sizeof(CellPage), '\0'));
      Add(kCellOwners, CellOwner{slot, key.first + 1});
    }
    return At<CellPage>(kCells, it->second).cells[index % kSitesPerBlock];
  }
  // The same for a small one; its epoch.
  SmallBlock& SmallBlockAt(uint32_t site, uint32_t slot) {
    const std::pair<uint32_t, uint32_t> key(site / kSitesPerSmallPage, slot);
    auto [it, fresh] = small_pages_.try_emplace(key, static_cast<uint32_t>(small_pages_.size()));
    if (fresh) {
      Append(kSmallCells, std::string(sizeof(SmallPage), '\0'));
      Add(kSmallOwners, CellOwner{slot, key.first + 1});
    }
    auto& page = At<SmallPage>(kSmallCells, it->second);
    return page.blocks[site % kSitesPerSmallPage / kSitesPerBlock];
  }
  SmallCell& SmallCellAt(uint32_t site, uint32_t slot) {
    return SmallBlockAt(site, slot).cells[site % kSitesPerBlock];
  }
  uint32_t& SmallEpochAt(uint32_t site, uint32_t slot) {
    return SmallBlockAt(site, slot).epochs[site % kSitesPerBlock];
  }

  void Point(uint64_t elapsed_ns, int64_t low, int64_t high) {
    TimelinePoint point = {elapsed_ns, low, high, 0};
    std::memcpy(timeline_.data() + header().timeline.count * sizeof(point), &point, sizeof(point));
    ++header().timeline.count;
  }

  // The file's bytes. Extents are laid out in an order of their own, so that none are neighbours by
  // accident.
  std::string Bytes() {
    std::string file(kHeaderBytes + kTimelinePoints * sizeof(TimelinePoint), '\0');
    for (int extent = 0; extent < kMaxExtents; ++extent) {
      for (uint32_t id = 0; id < kSectionCount; ++id) {
        Section& section = header().sections[id];
        const auto& content = sections_[id];
        section.used = content.size() / RecordBytes(static_cast<SectionId>(id));
        const uint64_t start = extent == 0 ? 0 : uint64_t{kFirstExtentBytes} << (extent - 1);
        if (start >= content.size()) continue;
        section.extents[extent] = file.size();
        const uint64_t bytes = std::min<uint64_t>(content.size() - start, ExtentBytes(extent));
        std::string part(content.data() + start, bytes);
        part.resize((part.size() + 4095) / 4096 * 4096);
        file += part;
      }
    }
    header().next_offset = file.size();
    header().file_bytes = file.size();
    std::memcpy(file.data(), header_bytes_.data(), kHeaderBytes);
    std::memcpy(file.data() + kHeaderBytes, timeline_.data(), timeline_.size());
    return file;
  }

 private:
  uint64_t Append(SectionId id, const std::string& bytes) {
    const uint64_t at = sections_[id].size();
    sections_[id].insert(sections_[id].end(), bytes.begin(), bytes.end());
    return at;
  }
  template <typename T>
  uint32_t Add(SectionId id, const T& record) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &record, sizeof(T));
    return static_cast<uint32_t>(Append(id, bytes) / sizeof(T));
  }
  template <typename T>
  T& At(SectionId id, uint64_t index) {
    return *reinterpret_cast<T*>(sections_[id].data() + index * sizeof(T));
  }

  alignas(64) std::array<char, kHeaderBytes> header_bytes_;
  std::array<char, kTimelinePoints * sizeof(TimelinePoint)> timeline_ = {};
  std::map<uint32_t, std::vector<char, AlignedAllocator<char>>> sections_;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> pages_;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> small_pages_;
};

// A small region with a bit of everything: two threads, Python and native frames, a timeline.
//   main.py:4 (load, called by main.py:9): python.obj, 10 blocks of 1000 bytes, 4 freed
//   main.py:9: malloc from libfoo, 3 blocks of 7 bytes, by thread 1, all freed by thread 2
inline void FillSample(RegionBuilder* b) {
  b->header().command = b->String(std::string("python\0main.py", 14));
  b->header().executable = b->String("/usr/bin/python3");
  b->header().working_dir = b->String("/home/me");
  b->header().python_version = 0x030c01f0;
  const uint32_t main = b->Thread(4711, "python");
  const uint32_t worker = b->Thread(4712, "worker");
  const uint32_t module = b->Module("/no/such/libfoo.so");
  const uint32_t outer = b->Node(0, b->PythonFrame(b->Code("<module>", "/home/me/main.py", 1), 9));
  const uint32_t inner = b->Node(outer, b->PythonFrame(b->Code("load", "/home/me/main.py", 3), 4));
  const uint32_t objects = b->Site(inner, 0, Domain::kPythonObj, main);
  const uint32_t blocks = b->Site(outer, b->NativeFrame(module, 0x1234), Domain::kMalloc, main);
  Cell& kept = b->CellAt(objects, main);
  kept.alloc.objects = 10;
  kept.alloc.bytes = 10000;
  kept.free.objects = 4;
  kept.free.bytes = 4000;
  kept.temporary.objects = 1;
  kept.temporary.bytes = 1000;
  kept.saved.epoch = 2;
  kept.saved.objects = 10;
  kept.saved.bytes = 10000;
  Cell& made = b->CellAt(blocks, main);
  made.alloc.objects = 3;
  made.alloc.bytes = 21;
  Cell& freed = b->CellAt(blocks, worker);
  freed.free.objects = 3;
  freed.free.bytes = 21;
  b->header().owner_total = 6000;
  b->header().peak = 10000;
  b->header().peak_epoch = 2;
  b->Point(0, 0, 5000);
  b->Point(1000000, 5000, 10000);
}

// A file that goes away with the test.
class TempFile {
 public:
  explicit TempFile(const std::string& content) {
    std::string name = "/tmp/memtrace-test-XXXXXX";
    const int fd = mkstemp(name.data());
    if (fd >= 0) close(fd);
    path_ = name;
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TempFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_READ_REGION_BUILDER_H_
