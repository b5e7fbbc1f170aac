#include "interpose/live_table.h"

#include "interpose/os/os.h"

namespace memtrace {

constinit LiveTable g_live_table;

namespace {
constexpr size_t kFlatBytes = (size_t{1} << 47) / 16 * sizeof(uint32_t);

// ThreadSanitizer leaves no room for it.
#ifndef MEMTRACE_FLAT_SHADOW
#define MEMTRACE_FLAT_SHADOW 1
#endif
}  // namespace

bool LiveTable::Init() {
  if (MEMTRACE_FLAT_SHADOW) flat_ = static_cast<uint32_t*>(os::Reserve(kFlatBytes));
  if (flat_ != nullptr) return true;
  flat_refused_ = true;
  return Leaves(0) != nullptr;
}

uint32_t* LiveTable::SlotSlow(uint64_t address) {
  if ((address >> 47) != 0 || (address & 7) != 0) return nullptr;
  if (flat_ == nullptr && !flat_refused_) return nullptr;  // not started
  const int half = (address & 8) != 0;
  if (flat_refused_) return Leaf(half, address);
  uint32_t* odd = odd_.load(std::memory_order_acquire);
  if (odd == nullptr) {
    auto* fresh = static_cast<uint32_t*>(os::Reserve(kFlatBytes));
    if (fresh == nullptr) return nullptr;
    if (!odd_.compare_exchange_strong(odd, fresh, std::memory_order_acq_rel)) {
      os::Release(fresh, kFlatBytes);
    } else {
      odd = fresh;
    }
  }
  return odd + (address >> 4);
}

// The second half is made on first use: few programs have such blocks.
std::atomic<uint32_t*>* LiveTable::Leaves(int half) {
  std::atomic<uint32_t*>* leaves = leaves_[half].load(std::memory_order_acquire);
  if (leaves != nullptr) return leaves;
  constexpr size_t kBytes = kLeaves * sizeof(uint32_t*);
  auto* fresh = static_cast<std::atomic<uint32_t*>*>(os::Reserve(kBytes));
  if (fresh == nullptr) return nullptr;
  if (leaves_[half].compare_exchange_strong(leaves, fresh, std::memory_order_acq_rel)) return fresh;
  os::Release(fresh, kBytes);
  return leaves;
}

uint32_t* LiveTable::Leaf(int half, uint64_t address) {
  std::atomic<uint32_t*>* leaves = Leaves(half);
  if (leaves == nullptr) return nullptr;
  std::atomic<uint32_t*>& place = leaves[address >> kLeafBits];
  uint32_t* leaf = place.load(std::memory_order_acquire);
  if (leaf == nullptr) {
    constexpr size_t kBytes = (kLeafSlots + 2) * sizeof(uint32_t);  // a last block's extra slots
    auto* fresh = static_cast<uint32_t*>(os::Reserve(kBytes));
    if (fresh == nullptr) return nullptr;
    if (place.compare_exchange_strong(leaf, fresh, std::memory_order_acq_rel)) {
      leaf = fresh;
    } else {
      os::Release(fresh, kBytes);
    }
  }
  return leaf + ((address & ((uint64_t{1} << kLeafBits) - 1)) >> 4);
}

}  // namespace memtrace
