// Address -> (site, size) of every recorded block that is alive: a shadow of the heap.
//
// One 32-bit slot stands for a granule of 32 bytes of address space. Blocks start at multiples of
// 16 and most allocators hand out 32 bytes at least, so a granule holds the start of one block, and
// a bit of the slot says in which half. Where two blocks of 16 bytes share a granule, the second
// one goes to a finer shadow of 16 bytes a slot; so does, to one more, a block at 8 modulo 16
// (other allocators' small classes).
//
//   granule 0   site << 8 | half << 7 | size code
//   granule 1   lower 25 bits of the size << 7    (kSizeNext, kSizeWide, kCode)
//   granule 2   the bits above them << 7          (kSizeWide, kCode)
//   granule 3   id << 7 | kId of the Python code object that lives there (kCode, kMarker)
//
// Sizes to 56, and multiples of 8 to 576, are in the code itself. A block of more than 48 bytes
// owns its next granule: no other block can start there. A slot of zero: nothing starts here. The
// lowest seven bits tell whether a block starts in a granule or one that started before goes on: a
// program may free an address inside a block (its own operator delete knows why), and a block that
// was freed by somebody who goes around the hooks is still here when its memory is handed out
// again.
//
// Granules are spread over two planes by the parity of their number, so that a pool of blocks of 64
// bytes touches one plane alone: a sixteenth of its size. Blocks of other sizes take an eighth.
//
// The table is private memory: snapshots need only the counters. It has no lock: a slot is touched
// only by the thread that allocates, owns or frees the block (two blocks of 16 bytes in one granule
// may belong to two threads: their slot is claimed by compare-and-swap). Pointers that were never
// recorded read as zero, so foreign blocks are harmless.
// When memory for the table is refused (address-space limit), Put returns false and the block is
// counted as lost.

#ifndef MEMTRACE_INTERPOSE_LIVE_TABLE_H_
#define MEMTRACE_INTERPOSE_LIVE_TABLE_H_

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/layout.h"
#include "core/live_shadow.h"
#include "interpose/hot.h"

namespace memtrace {

// A sparse array of 2^43 slots.
class Shadow {
 public:
  static constexpr int kIndexBits = 43;

  // Flat where the address space allows. False: no memory. By any thread, and by several at once.
  bool Init();
  // The slot, made if need be; nullptr: refused.
  uint32_t* Slot(uint64_t index) {
    uint32_t* flat = flat_.load(std::memory_order_acquire);
    return __builtin_expect(flat != nullptr, 1) ? flat + index : SlotSlow(index);
  }
  // The same if there is a flat array.
  uint32_t* flat() const { return flat_.load(std::memory_order_relaxed); }
  bool used() const { return flat() != nullptr || chosen_.load() != 0; }

  static constexpr uint64_t kLeafWords = 1u << 16;
  // The words from `index` on to the end of its leaf, if there is no flat array; nullptr: none were
  // ever stored. A whole branch may be missing: then *next is beyond it, and else beyond the leaf.
  const uint32_t* Leaf(uint64_t index, uint64_t* next) const;

 private:
  // Otherwise a tree, whose parts are made on demand: there is little room, so they are small.
  using Leaves = std::atomic<uint32_t*>;
  using Branches = std::atomic<Leaves*>;
  static constexpr int kLeafBits = 16;
  static constexpr int kBranchBits = 14;
  static constexpr int kRootBits = kIndexBits - kBranchBits - kLeafBits;

  uint32_t* SlotSlow(uint64_t index);
  Branches* Root() const;

  // What is chosen is so for all threads: threads that begin at the same time may leave one another
  // no room for a flat array, and a block that went into a tree is not looked for in one.
  static constexpr uintptr_t kIsFlat = 1;

  std::atomic<uint32_t*> flat_{nullptr};
  std::atomic<uintptr_t> chosen_{0};  // the tree's root; or, with kIsFlat, what flat_ is to be
};

class LiveTable {
 public:
  struct Block {
    uint32_t site = 0;  // 0: a marker for a code object that was never recorded as a block
    bool holds_code = false;
    uint64_t bytes = 0;
    const void* thread_state = nullptr;  // the block's address, when it is marked as one

    bool IsMarked() const { return holds_code || thread_state != nullptr; }
  };

  bool Init();

  // Whether an allocator may hand out neighbours of 16 bytes to two threads at once: glibc's does
  // not (it hands out 32 at least), nor does CPython's under its lock. Then blocks of up to 16
  // bytes need not take the slow way.
  void SetSharedGranules(bool shared) { slow_bytes_ = shared ? 17 : 0; }

  // A block of `bytes` now lives at p. False: no memory for its slots.
  bool Put(const void* p, uint32_t site, uint64_t bytes);
  // A recorded block, one of `bytes` at p, cannot be alive together with: their records meet.
  // nullptr: none.
  const void* Stale(const void* p, uint64_t bytes);
  bool Holds(const void* p) { return Find(p) != nullptr; }
  // Reads and clears; an empty Block when there is none.
  Block Take(const void* p);

  // Id of the code object at p, 0: not known.
  uint32_t CodeId(const char* p);
  // Marks the block as a code object with this id: its free will be told (Block::holds_code).
  void SetCodeId(const char* p, uint32_t id);

  // Marks the block that holds a Python thread state at p (at its start, or behind the header of a
  // debugging allocator), so that its free is told as well. Nothing if it is in no block of its
  // own.
  void MarkThreadState(const char* p);

  // -----------------------------------------------------------------------------------------------
  // The fast way: a block at a multiple of 16, in a flat coarse shadow.

  // Whether there is a fast way at all: what follows may only be called then.
  bool HasFastSlots() const { return coarse_.flat() != nullptr; }
  // The block's slot, whether it is there or not; nullptr: take the slow way.
  MEMTRACE_HOT uint32_t* FastSlot(const void* p) const {
    constexpr uint64_t kNotHere = ~uint64_t{0} << 47 | 8;
    const uint64_t address = reinterpret_cast<uint64_t>(p);
    if (__builtin_expect((address & kNotHere) != 0, 0)) return nullptr;
    return coarse_.flat() + LiveCoarseIndex(address);
  }
  static uint32_t Half(const void* p) { return reinterpret_cast<uintptr_t>(p) << 3 & kHalf; }

  // The word of a block, whose size is in it or (kSizeNext) in the next granule's slot.
  MEMTRACE_HOT static uint32_t Word(const void* p, uint32_t site, uint32_t code) {
    return site << 8 | Half(p) | code;
  }
  static uint32_t SiteOf(uint32_t word) { return word >> 8; }
  static uint32_t CodeOf(uint32_t word) { return word & 127; }
  static bool IsAt(uint32_t word, const void* p) { return (word & kHalf) == Half(p); }
  // Whether a block starts there, as far as the fast way needs to know: kId is a code it refuses.
  static bool MayStart(uint32_t word) { return CodeOf(word) != 0; }

  // Empties the slot of the block at p, whose size code is kSizeNext at most; returns the size.
  MEMTRACE_HOT uint64_t Clear(uint32_t* slot, uint32_t word, const void* p) const {
    *slot = 0;
    const uint32_t code = CodeOf(word);
    if (code != kSizeNext) return LiveBytesOf(code);
    uint32_t* next = NextSlot(p);
    const uint32_t bytes = *next;
    *next = 0;
    return bytes >> kTagBits;
  }
  // Take() in the common case; false: nothing was done.
  MEMTRACE_HOT bool TakeFast(const void* p, Block* block) const {
    uint32_t* slot = FastSlot(p);
    const uint32_t word = slot != nullptr ? *slot : 0;
    if (!MayStart(word) || !IsAt(word, p) || CodeOf(word) > kSizeNext) return false;
    block->site = SiteOf(word);
    block->bytes = Clear(slot, word, p);
    return true;
  }
  // Writes the word, and the size where it is not in it. False: there is no room for the size.
  MEMTRACE_HOT bool Fill(uint32_t* slot, const void* p, uint32_t site, uint64_t bytes) const {
    const uint32_t code = SizeCode(bytes);
    if (code == kSizeNext) {
      uint32_t* next = NextSlot(p);
      if (__builtin_expect(*next != 0 || bytes > kMaxNext, 0)) return false;
      *next = static_cast<uint32_t>(bytes) << kTagBits;
    }
    *slot = Word(p, site, code);
    return true;
  }

  MEMTRACE_HOT static uint32_t SizeCode(uint64_t bytes) {
    if (bytes <= kExact) return static_cast<uint32_t>(bytes) + 1;
    if ((bytes & 7) == 0 && bytes <= kEights) return static_cast<uint32_t>(bytes + 400) >> 3;
    return kSizeNext;
  }
  bool NeedsSlow(uint64_t bytes) const { return bytes < slow_bytes_; }
  // A free of a block that is not in its coarse slot may be of one in a finer shadow.
  bool HasFiner() const { return fine_.used() || odd_.used(); }

  // CodeId of what a Python frame runs; kNoCodeId at least: not known.
  uint32_t FastCodeId(const char* p) const {
    return IdOf(
        coarse_.flat()[LiveCoarseIndex(reinterpret_cast<uint64_t>(p) + kCodeGranule * kGranule)]);
  }
  static constexpr uint32_t kNoCodeId = 1u << 25;
  static constexpr size_t kDebugHeader = 16;  // of CPython's debugging allocators

  // A reader from outside knows these as well.
  static constexpr uint32_t kGranule = kLiveGranule;
  static constexpr uint32_t kSizeNext = kLiveSizeNext;

 private:
  static constexpr int kTagBits = kLiveTagBits;
  static constexpr uint64_t kMaxNext = (uint64_t{1} << (32 - kTagBits)) - 1;
  static constexpr uint32_t kCodeGranule = 3;  // holds the id
  static constexpr uint32_t kHalf = kLiveHalf;
  static constexpr uint32_t kExact = kLiveExact;
  static constexpr uint32_t kEights = 576;
  static constexpr uint32_t kSizeWide = kLiveSizeWide;
  static constexpr uint32_t kCode = kLiveCode;
  static constexpr uint32_t kMarker = kLiveMarker;
  static constexpr uint32_t kId = kLiveId;
  static constexpr uint32_t kThreadStateId = kNoCodeId - 1;  // in the place of a code object's
  static_assert((kEights + 400) / 8 < kSizeNext && kMaxSites <= 1u << 24);

  MEMTRACE_HOT uint32_t* NextSlot(const void* p) const {
    return coarse_.flat() + LiveCoarseIndex(reinterpret_cast<uint64_t>(p) + kGranule);
  }

  static bool Starts(uint32_t word) { return CodeOf(word) != 0 && CodeOf(word) != kId; }
  // What is left of the tag comes to the top.
  static uint32_t IdOf(uint32_t word) { return std::rotr(word - kId, kTagBits); }

  uint32_t* Coarse(const char* p);
  static bool AreNeighbours(const void* p, uint64_t bytes, const void* other, uint32_t word);
  const void* Owner(const char* granule, uint32_t word);
  uint32_t* Find(const void* p);
  uint32_t* Claim(const void* p, uint32_t word);

  friend struct LiveShadow;  // to be read as a whole: live_walk.cc

  Shadow coarse_;  // 32 bytes a slot
  Shadow fine_;    // 16 bytes a slot: second blocks of a granule
  Shadow odd_;     // 16 bytes a slot: blocks at 8 modulo 16
  uint64_t slow_bytes_ = 17;
};

extern constinit LiveTable g_live_table;

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_LIVE_TABLE_H_
