// Address -> (site, size) of every recorded block that is alive: a shadow of the heap.
//
// One 32-bit slot stands for 16 bytes of address space. A block owns the slots of the granules that
// it covers alone; it starts at a multiple of 16 (the second shadow holds those that start 8 after
// one, which allocators with 8-byte classes hand out), so its first slot is its own.
//
//   slot 0   site << 6 | code-object flag << 5 | size code
//   slot 1   size, 32 bits           (size code kSizeNext: 17 bytes and more)
//   slot 1-2 size, 64 bits           (size code kSizeWide: 4 GiB and more)
//   slot 2   id of the Python code object that lives there (SetCodeId)
//
// A size of 0..16 is in the size code itself. Slot 0 of zero: no recorded block starts here.
//
// The table is private memory: snapshots need only the counters. It has no lock: a slot is touched
// only by the thread that allocates, owns or frees the block. Pointers that were never recorded
// read as zero, so foreign blocks are harmless.
// When memory for the table is refused (address-space limit), Slot returns nullptr and the block is
// counted as lost.

#ifndef MEMTRACE_INTERPOSE_LIVE_TABLE_H_
#define MEMTRACE_INTERPOSE_LIVE_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace memtrace {

class LiveTable {
 public:
  static constexpr uint32_t kMaxSites = 1u << 26;

  struct Block {
    uint32_t site = 0;  // 0: a marker for a code object that was never recorded as a block
    bool holds_code = false;
    uint64_t bytes = 0;
  };

  bool Init();

  // The first slot of a block at p; nullptr: p cannot be in the table.
  uint32_t* Slot(const void* p) {
    uint32_t* slot = FastSlot(p);
    return __builtin_expect(slot != nullptr, 1) ? slot : SlotSlow(reinterpret_cast<uint64_t>(p));
  }

  // The same for the flat table alone: nullptr sends the caller to its slow path.
  uint32_t* FastSlot(const void* p) const {
    constexpr uint64_t kNotHere = ~uint64_t{0} << 47 | 8;
    const uint64_t address = reinterpret_cast<uint64_t>(p);
    if (__builtin_expect(flat_ == nullptr || (address & kNotHere) != 0, 0)) return nullptr;
    return flat_ + (address >> 4);
  }

  static bool Occupied(const uint32_t* slot) { return *slot != 0; }

  static void PutSmall(uint32_t* slot, uint32_t site, uint32_t bytes) {
    if (bytes <= 16) {
      slot[0] = site << 6 | (bytes + 1);
    } else {
      slot[1] = bytes;
      slot[0] = site << 6 | kSizeNext;
    }
  }

  static void Put(uint32_t* slot, uint32_t site, uint64_t bytes) {
    if (bytes <= 0xffffffffu) {
      PutSmall(slot, site, static_cast<uint32_t>(bytes));
    } else {
      slot[1] = static_cast<uint32_t>(bytes);
      slot[2] = static_cast<uint32_t>(bytes >> 32);
      slot[0] = site << 6 | kSizeWide;
    }
  }

  // Reads and clears an ordinary block: less than 4 GiB, no code object. False: it is another kind.
  static bool TakeSmall(uint32_t* slot, uint32_t* site, uint32_t* bytes) {
    const uint32_t word = slot[0];
    const uint32_t code = word & 63;
    if (__builtin_expect(code > kSizeNext, 0)) return false;
    if (code == kSizeNext) {
      *bytes = slot[1];
      slot[1] = 0;
    } else {
      *bytes = code - 1;
    }
    slot[0] = 0;
    *site = word >> 6;
    return true;
  }

  // Reads and clears.
  static Block Take(uint32_t* slot) {
    const uint32_t word = slot[0];
    const uint32_t code = word & 31;
    Block block;
    block.site = word >> 6;
    block.holds_code = (word & kHoldsCode) != 0;
    slot[0] = 0;
    if (code < kSizeNext) {
      block.bytes = code - 1;
    } else if (code == kSizeNext) {
      block.bytes = slot[1];
      slot[1] = 0;
    } else if (code == kSizeWide) {
      block.bytes = slot[1] | static_cast<uint64_t>(slot[2]) << 32;
      slot[1] = slot[2] = 0;
    }
    if (block.holds_code) slot[2] = 0;
    return block;
  }

  static uint32_t CodeId(const uint32_t* slot) { return slot[2]; }
  // Marks the block as a code object with this id: its free will be told (Block::holds_code).
  static void SetCodeId(uint32_t* slot, uint32_t id) {
    if (slot[0] == 0) slot[0] = kMarker;
    slot[0] |= kHoldsCode;
    slot[2] = id;
  }

 private:
  static constexpr uint32_t kHoldsCode = 1u << 5;
  static constexpr uint32_t kSizeNext = 18;  // 1..17: a size of 0..16
  static constexpr uint32_t kSizeWide = 19;
  static constexpr uint32_t kMarker = 31;

  // Where there is no room for a flat shadow: leaves of 4 MiB of heap each, made on demand.
  static constexpr int kLeafBits = 22;
  static constexpr size_t kLeafSlots = (size_t{1} << kLeafBits) / 16;
  static constexpr size_t kLeaves = size_t{1} << (47 - kLeafBits);

  uint32_t* SlotSlow(uint64_t address);
  std::atomic<uint32_t*>* Leaves(int half);
  uint32_t* Leaf(int half, uint64_t address);

  uint32_t* flat_ = nullptr;
  std::atomic<uint32_t*> odd_{nullptr};                  // blocks at 8 modulo 16
  std::atomic<std::atomic<uint32_t*>*> leaves_[2] = {};  // [half][address >> kLeafBits]
  bool flat_refused_ = false;
};

extern constinit LiveTable g_live_table;

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_LIVE_TABLE_H_
