// The live region: one file per traced process, mapped shared by the process that records and read
// by anyone who may open it. This header is the whole contract between the two sides.
//
// Role. `interpose/` writes it, `tools/read/` reads it; a snapshot file (core/FORMAT.md) is made
// from it and does not depend on it. The region is never portable: it belongs to one machine.
//
// Invariants
//  1. Append only. A record, once published, never changes and never moves, except the counters of
//     cells, the fields of ThreadRecord and those of Header that say so.
//  2. Publication. Space is reserved first (`Section::used` grows), the record is filled, and the
//     word that makes it valid is stored last with release order. An all-zero record is a
//     reservation whose writer has not finished, or was killed: readers skip it. Ids only refer to
//     records that were published before the referring record.
//  3. A parent's node id is smaller than its child's, so the tree has no cycle.
//  4. Single writer. A cell page belongs to one thread slot, and only that thread's hooks write it.
//     Objects and bytes of a counter are stored at once (16 aligned bytes, or 4), so that no reader
//     ever sees one without the other.
//  5. Every counter is monotonic but what is saved for the peak, so that reading all frees before
//     all allocations can never show a negative live figure, and a cell that reads the same twice
//     was so at one moment in between.
//  6. A kill between any two stores leaves a readable region: of the one event under way in each
//     thread, the total or a realloc's other half may be missing.
//
// Threading. Plain stores by the owner, atomics where the comment says "shared". Readers map the
// file read-only and take nothing for granted: whatever they read may be hostile.
//
// When full: a section that cannot grow leaves the event out and adds it to Header::lost.

#ifndef MEMTRACE_CORE_LAYOUT_H_
#define MEMTRACE_CORE_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace memtrace {

inline constexpr uint64_t kRegionMagic = 0x314e475254454d00;  // "\0METRGN1", little endian
inline constexpr uint32_t kLayoutVersion = 3;                 // bump on every change of this file
inline constexpr uint32_t kHeaderBytes = 8192;

// Who asked for the block. One block is counted once, in the outermost domain.
//
// kMmap and kMmapFile are address space and not memory: they are no part of Header::owner_total,
// shared_total and the peak, and their figures are shown apart.
enum class Domain : uint8_t {
  kNone = 0,
  kMalloc = 1,     // libc's family and operator new
  kPythonMem = 2,  // PyMem_Malloc and friends
  kPythonObj = 3,  // PyObject_Malloc and friends
  kMmap = 4,       // anonymous mappings made by the program; brk
  kMmapFile = 5,   // files mapped by the program
};
inline constexpr int kDomainCount = 6;
constexpr bool IsPythonDomain(Domain domain) {
  return domain == Domain::kPythonMem || domain == Domain::kPythonObj;
}
constexpr bool IsAddressSpace(Domain domain) {
  return domain == Domain::kMmap || domain == Domain::kMmapFile;
}

// ---------------------------------------------------------------------------------------------
// Sections: growing arrays inside the file.
//
// Byte x of a section lies in extent k at offset o, where
//   x <  kFirstExtentBytes:  k = 0,                      o = x
//   else, b = floor(log2 x): k = b - log2(first) + 1,    o = x - 2^b
// so extent sizes double (4 KiB, 4 KiB, 8 KiB, 16 KiB, ...) and nothing is ever moved. An extent
// may be sparse: only the bytes below the section's `used` are backed by memory.

inline constexpr uint32_t kFirstExtentBytes = 4096;
inline constexpr int kFirstExtentLog2 = 12;
inline constexpr int kMaxExtents = 24;  // up to 32 GiB in one section

enum SectionId : uint32_t {
  kStrings,      // StringRecord, 8-aligned; id = byte offset / 8; offset 0 is reserved
  kCodes,        // CodeRecord
  kFrames,       // FrameRecord
  kNodes,        // NodeRecord; node 0 is the root: no frame
  kSites,        // SiteRecord, reserved in groups of kSitesPerSmallPage
  kBusySites,    // SiteRecord, reserved in blocks of kSitesPerBlock; id = kFirstBusySite + index
  kThreads,      // ThreadRecord; index = thread slot; slot 0 holds what fork inherited
  kCellOwners,   // CellOwner, one for each page of kCells
  kCells,        // CellPage: of busy sites
  kSmallOwners,  // CellOwner, one for each page of kSmallCells
  kSmallCells,   // SmallPage: of the other sites
  kModules,      // ModuleRecord; id 0 is reserved
  kNativeNodes,  // NodeRecord: native stacks (kFlagNativeStacks); node 0 is the root
  kMappings,     // MappingRecord
  kSectionCount,
};

struct Section {
  std::atomic<uint64_t> used;                  // shared; records reserved (bytes for kStrings)
  std::atomic<uint64_t> extents[kMaxExtents];  // shared; file offset of each extent, 0 = none
};

struct ExtentPosition {
  int extent;
  uint64_t offset;
};

constexpr ExtentPosition LocateByte(uint64_t x) {
  if (x < kFirstExtentBytes) return {0, x};
  const int log2 = 63 - __builtin_clzll(x);
  return {log2 - kFirstExtentLog2 + 1, x - (uint64_t{1} << log2)};
}

constexpr uint64_t ExtentBytes(int extent) {
  return extent == 0 ? kFirstExtentBytes : uint64_t{kFirstExtentBytes} << (extent - 1);
}

// ---------------------------------------------------------------------------------------------
// Records

struct StringRecord {
  uint32_t bytes;  // length of the text that follows, no terminator; UTF-8 with surrogates escaped
  uint32_t hash;
  // char text[bytes], then padding to 8
};

// A Python code object, by content: a code object that is made again (exec, reload) gets its id
// back.
struct CodeRecord {
  uint32_t name;        // string: qualified name from 3.11, plain name before
  uint32_t first_line;  // co_firstlineno
  uint64_t line_table_hash;
  uint64_t reserved0;
  uint32_t reserved1;
  uint32_t filename;  // string; stored last, nonzero
};

enum class FrameKind : uint32_t {
  kNone = 0,
  kPython = 1,
  kNative = 2,
  kEvaluation = 3,
  kLabel = 4,
};

// What a stack is made of. kPython: owner = code id, line = source line (0: none).
// kNative: owner = module id (0: not in any module), address = offset from the module's load bias,
// or the plain address when there is no module.
// kEvaluation (owner 0): where the two stacks of a thread meet, see kFlagNativeStacks.
// kLabel: owner = string id of a name that the program has given to the work of the frames inside
// of it. Not shown as a frame: a block has all labels of its Python stack, "outer/inner".
struct FrameRecord {
  uint64_t address;
  uint32_t line;
  uint32_t kind_owner;  // FrameKind << 28 | owner; stored last, nonzero
};

constexpr uint32_t PackKindOwner(FrameKind kind, uint32_t owner) {
  return static_cast<uint32_t>(kind) << 28 | (owner & 0x0fffffff);
}

// A stack: this frame called by the parent's. The root is node 0.
struct NodeRecord {
  uint32_t parent;
  uint32_t frame;  // stored last, nonzero
};

// Where blocks come from. Each site belongs to the thread slot that allocates there.
//
// One word, stored at once: node 24 bits, caller 22 (frame id of the immediate caller of malloc, 0
// for Python's domains; with kFlagNativeStacks a node of kNativeNodes, 0: none), domain 3 (nonzero:
// the record is there), thread slot 15.
struct SiteRecord {
  uint64_t word;

  static constexpr SiteRecord Of(uint32_t node, uint32_t caller, Domain domain, uint32_t thread) {
    return {node | uint64_t{caller} << 24 | static_cast<uint64_t>(domain) << 46 |
            uint64_t{thread} << 49};
  }
  constexpr uint32_t node() const { return word & 0xffffff; }
  constexpr uint32_t caller() const { return word >> 24 & 0x3fffff; }
  constexpr uint32_t domain() const { return word >> 46 & 7; }
  constexpr uint32_t thread() const { return static_cast<uint32_t>(word >> 49); }
};
inline constexpr uint32_t kMaxNodes = 1u << 24;
inline constexpr uint32_t kMaxFrames = 1u << 22;
inline constexpr uint32_t kMaxNativeNodes = 1u << 22;
inline constexpr uint32_t kMaxThreadSlots = 1u << 14;

// Most stacks allocate a few times and never again: a program that imports scikit-learn has 480,000
// of them. So a site starts with a small cell; when that could overflow, further allocations at the
// same place get another site, a busy one, with a full cell. A place's figures are the sum.
inline constexpr uint32_t kFirstBusySite = 1u << 23;  // ids from here on
inline constexpr uint32_t kMaxSites = 1u << 24;
constexpr bool IsBusySite(uint32_t site) { return site >= kFirstBusySite; }

inline constexpr uint32_t kSitesPerBlock = 64;
inline constexpr uint32_t kBlocksPerSmallPage = 3;
inline constexpr uint32_t kSitesPerSmallPage = kBlocksPerSmallPage * kSitesPerBlock;

// What one thread did at one site. Live now = Σ over threads of allocs - frees: a block is counted
// as freed in the cell of the thread that frees it, so a single cell's live figure may be negative.
//
// Peak (lazy epochs): `saved` is the cell's live figure before its first event in epoch `epoch`.
// At the process's peak the cell held: Header::total > Header::peak ? live
//                                      : epoch == Header::peak_epoch ? saved : live.
// The saved figure is stored before the epoch (small cells), or with it (full ones).
struct alignas(16) Count {
  uint64_t objects;
  uint64_t bytes;
};
struct alignas(16) SavedCount {
  int64_t bytes;
  int32_t objects;
  uint32_t epoch;
};
struct alignas(64) Cell {
  Count alloc;
  Count free;
  Count temporary;  // freed before the thread's next allocation
  SavedCount saved;
};

// The same in 20 bytes: bytes << 8 | objects, of at most 127 objects and less than 8 MiB allocated
// ever; saved: both signed.
inline constexpr uint32_t kSmallObjects = 127;
inline constexpr uint32_t kSmallBytes = (1u << 23) - 1;
inline constexpr uint64_t kSmallOverflow =
    ~uint64_t{0x7fffff7f};  // bits of a sum that is too large

struct alignas(16) SmallCell {
  uint32_t alloc;
  uint32_t free;
  uint32_t temporary;
  uint32_t saved;
};
struct SmallBlock {
  SmallCell cells[kSitesPerBlock];
  uint32_t epochs[kSitesPerBlock];
};

constexpr uint32_t PackSmall(int64_t objects, int64_t bytes) {
  return static_cast<uint32_t>(static_cast<uint64_t>(bytes) << 8) |
         (static_cast<uint32_t>(objects) & 0xff);
}
// Of a saved figure; counts are never negative.
constexpr int32_t SmallObjects(uint32_t packed) { return static_cast<int8_t>(packed & 0xff); }
constexpr int64_t SmallBytes(uint32_t packed) { return static_cast<int32_t>(packed) >> 8; }

struct CellPage {
  Cell cells[kSitesPerBlock];
};
struct SmallPage {
  SmallBlock blocks[kBlocksPerSmallPage];
  char reserved[256];
};

// Whose a page of cells is, and of which sites: the block for kCells, the group of
// kSitesPerSmallPage sites for kSmallCells; plus 1; stored last, nonzero.
struct CellOwner {
  uint32_t thread;  // slot
  uint32_t sites;   // (site id - first id of its section) / sites per page, plus 1
};

enum class ThreadState : uint32_t { kFree = 0, kLive = 1, kEnded = 2, kInherited = 3 };

// A slot is used by one thread at a time; when a thread has ended the next new one takes its slot
// over, counters and all, so memory is bounded by the number of threads alive at once.
struct alignas(64) ThreadRecord {
  int64_t unflushed_bytes;  // not yet part of Header::shared_total
  uint64_t stack;           // an address in its stack
  uint64_t reserved;
  uint64_t start_ns;            // CLOCK_BOOTTIME when the present thread was first seen
  std::atomic<uint32_t> state;  // ThreadState; nonzero publishes the record
  int32_t tid;
  uint32_t users;  // how many threads have used this slot
  char name[20];   // as the kernel knew it at first sight; NUL-terminated
};

// A shared object or the executable, by content: one that is loaded again gets its id back,
// wherever it lies then. Addresses and `generation` (unloadings before) are those of its first
// loading.
struct ModuleRecord {
  uint64_t start;  // load range
  uint64_t end;
  uint64_t bias;  // load bias: runtime address - file address
  uint32_t generation;
  uint32_t build_id_bytes;
  uint8_t build_id[24];
  uint32_t reserved;
  uint32_t path;  // string; stored last, nonzero
};

// A part of the address space that the program, or an allocator for it, has mapped at present.
// Slots are used again. A reader copies the record until it reads the same even, nonzero `seq`
// before and after.
enum class MappingKind : uint32_t {
  kNone = 0,             // not mapped (any more)
  kAnonymous = 1,        // by the program: Domain::kMmap
  kFile = 2,             // by the program: Domain::kMmapFile
  kAllocator = 3,        // inside a call of malloc and the like: another allocator's heap
  kPythonAllocator = 4,  // inside a call of one of Python's allocators: arenas
};
struct MappingRecord {
  std::atomic<uint64_t> seq;  // odd: being written; 0: never used
  uint64_t start;
  uint64_t end;
  uint32_t site;  // 0: an allocator's
  uint32_t kind;  // MappingKind
};

struct TimelinePoint {
  uint64_t elapsed_ns;  // since Header::start_boot_ns
  int64_t live_bytes_min;
  int64_t live_bytes_max;
  uint64_t reserved;
};
inline constexpr uint32_t kTimelinePoints =
    512;  // when full, neighbours merge and the step doubles

struct Timeline {
  std::atomic<uint64_t> seq;  // odd while being rewritten
  uint64_t step_ns;
  uint32_t count;
  uint32_t reserved;
};

// ---------------------------------------------------------------------------------------------
// Losses: events seen but not counted, by reason. 0 as a rule.

enum class Loss : uint32_t {
  kRegionFull,   // the region could not grow (tmpfs full, limit reached)
  kThreadSlots,  // more threads alive at once than slots
  kReentrant,    // an allocation in a signal handler that interrupted the recorder
  kLiveTable,    // address outside the live table, or its memory was refused
  kSiteIds,      // ran out of site ids
  kForkedChild,  // a forked child that could not get a region of its own
  kCount,
};
inline constexpr uint32_t kLossSlots = 8;

struct LossCounter {
  std::atomic<uint64_t> events;  // shared
  std::atomic<uint64_t> bytes;   // shared; allocations only
};

// Things that make a figure less than exact without losing an event.
enum RegionFlag : uint32_t {
  kFlagPythonOff = 1u << 0,        // an interpreter is there, but its frames cannot be read
  kFlagStacksTruncated = 1u << 1,  // --stack-depth, or deeper than the recorder follows
  kFlagPrivate = 1u << 2,          // no file could be made: private memory, dies with the process
  kFlagThreaded = 1u << 3,         // more than one thread recorded: the peak has a bound
  kFlagExactPeak = 1u << 4,        // MEMTRACE_EXACT_PEAK: the peak is exact with threads, too
  // Each site has a Python stack (node) and a native one (caller, a node of kNativeNodes). Where
  // the native stack is inside the interpreter's evaluation loop it has a frame kEvaluation, and
  // from 3.11 on the Python stack has one outside of the first Python frame of each evaluation (up
  // to 3.10 each Python frame is an evaluation of its own). So the k-th evaluation from inside of
  // one stack is that of the other, and the two can be merged.
  kFlagNativeStacks = 1u << 5,
  kFlagInterpreterFrames = 1u << 6,  // native stacks have the interpreter's own frames, too
  kFlagLabels = 1u << 7,             // there are frames of kind kLabel
  kFlagLabelsLost = 1u << 8,         // so many frames had labels at once that some got none
};

enum class ProcessEnd : uint32_t {
  kRunning = 0,  // or killed: ask the kernel whether the pid still lives
  kExited = 1,   // the library's destructor ran
};

// Totals. `owner_total` is written by the first thread alone at each event; every other thread adds
// its bytes to `shared_total` when they exceed kFlushBytes. total = owner_total + shared_total.
inline constexpr int64_t kFlushBytes = 32 * 1024;

struct Header {
  std::atomic<uint64_t> magic;  // stored last: the region is complete
  uint32_t layout_version;
  uint32_t header_bytes;
  int32_t pid;
  int32_t parent_pid;
  uint32_t uid;
  uint32_t exec_index;         // n-th image of this pid: 0, then 1 after an exec, ...
  uint64_t process_start;      // field 22 of /proc/PID/stat: ticks since boot
  uint64_t start_realtime_ns;  // when recording began
  uint64_t start_boot_ns;
  std::atomic<uint64_t> end_boot_ns;
  std::atomic<uint32_t> end;    // ProcessEnd
  std::atomic<uint32_t> flags;  // RegionFlag
  uint32_t stack_depth;         // 0: whole stacks
  uint32_t python_version;      // PY_VERSION_HEX, 0: no interpreter
  uint32_t command;             // string: arguments joined by NUL
  uint32_t executable;          // string: absolute path
  uint32_t working_dir;         // string
  uint32_t python_text;         // string: Py_GetVersion()
  uint32_t inherited_sites;     // sites with a smaller id were made before fork, by the parent
  uint32_t inherited_busy;      // the same for busy sites: kFirstBusySite + so many
  std::atomic<uint32_t> module_generation;
  uint64_t file_bytes;                // size given to the file so far (shared, grows)
  std::atomic<uint64_t> next_offset;  // shared: where the next extent goes

  alignas(64) std::atomic<int64_t> owner_total;
  std::atomic<int64_t> shared_total;
  std::atomic<int64_t> peak;            // highest total seen, bytes
  std::atomic<int64_t> peak_trigger;    // a total above this one is a new peak: peak + slack
  std::atomic<uint32_t> peak_epoch;     // starts at 1
  uint32_t pid_namespace;               // inode of /proc/self/ns/pid: where `pid` means something
  std::atomic<uint64_t> peak_boot_ns;   // when, to the timeline's resolution
  std::atomic<uint64_t> peak_reset_ns;  // last reset_peak(), 0: never
  // Native stacks (shared): how many were compared with a full unwinding (MEMTRACE_UNWIND_CHECK),
  // how many of those were not the same, and of all how many ended before the thread's outermost
  // frame.
  std::atomic<uint64_t> stacks_checked;
  std::atomic<uint64_t> stacks_different;
  std::atomic<uint64_t> stacks_cut;
  uint32_t unwind_method;  // string: name of the method; 0: no native stacks
  uint32_t reserved_unwind;
  uint64_t live_table;  // where the process has it (core/live_shadow.h); 0: not told

  alignas(64) LossCounter lost[kLossSlots];
  alignas(64) Section sections[kSectionCount];
  alignas(64) Timeline timeline;  // its points follow the header: file offset kHeaderBytes
};

static_assert(sizeof(CodeRecord) == 32 && offsetof(CodeRecord, filename) == 28);
static_assert(sizeof(FrameRecord) == 16 && offsetof(FrameRecord, kind_owner) == 12);
static_assert(sizeof(NodeRecord) == 8);
static_assert(sizeof(SiteRecord) == 8 && kMaxThreadSlots <= 1u << 15);
static_assert(sizeof(Cell) == 64 && offsetof(Cell, saved) == 48);
static_assert(sizeof(CellPage) == 4096 && sizeof(SmallPage) == 4096 && sizeof(SmallBlock) == 1280);
static_assert(sizeof(CellOwner) == 8);
static_assert(sizeof(ThreadRecord) == 64 && offsetof(ThreadRecord, state) == 32);
static_assert(sizeof(ModuleRecord) == 64 && offsetof(ModuleRecord, path) == 60);
static_assert(sizeof(MappingRecord) == 32);
static_assert(sizeof(TimelinePoint) == 32);
static_assert(sizeof(Section) == 200);
static_assert(sizeof(Header) <= kHeaderBytes);

// Bytes of one record of each section (kStrings counts bytes). Each divides kFirstExtentBytes, so
// that no record lies across two extents, which need not be neighbours in the file.
constexpr uint32_t RecordBytes(SectionId id) {
  constexpr uint32_t kBytes[kSectionCount] = {
      1,
      sizeof(CodeRecord),
      sizeof(FrameRecord),
      sizeof(NodeRecord),
      sizeof(SiteRecord),
      sizeof(SiteRecord),
      sizeof(ThreadRecord),
      sizeof(CellOwner),
      sizeof(CellPage),
      sizeof(CellOwner),
      sizeof(SmallPage),
      sizeof(ModuleRecord),
      sizeof(NodeRecord),
      sizeof(MappingRecord),
  };
  return kBytes[id];
}

}  // namespace memtrace

#endif  // MEMTRACE_CORE_LAYOUT_H_
