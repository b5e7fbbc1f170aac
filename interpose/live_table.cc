#include "interpose/live_table.h"

#include "interpose/os/os.h"

namespace memtrace {

constinit LiveTable g_live_table;

namespace {

// ThreadSanitizer leaves no room for a flat one.
#ifndef MEMTRACE_FLAT_SHADOW
#define MEMTRACE_FLAT_SHADOW 1
#endif

uint64_t Address(const void* p) { return reinterpret_cast<uint64_t>(p); }
bool IsOdd(const void* p) { return (Address(p) & 8) != 0; }
bool IsForeign(const void* p) { return Address(p) >> 47 != 0 || (Address(p) & 7) != 0; }

// Memory reserved by whoever comes first; nullptr: refused.
template <class T>
T* ReserveOnce(std::atomic<T*>* place, size_t bytes) {
  T* there = place->load(std::memory_order_acquire);
  if (there != nullptr) return there;
  auto* fresh = static_cast<T*>(os::Reserve(bytes));
  if (fresh == nullptr) return nullptr;
  if (place->compare_exchange_strong(there, fresh, std::memory_order_acq_rel)) return fresh;
  os::Release(fresh, bytes);
  return there;
}

}  // namespace

bool Shadow::Init() {
  constexpr size_t kBytes = sizeof(uint32_t) << kIndexBits;
  if (MEMTRACE_FLAT_SHADOW && ReserveOnce(&flat_, kBytes) != nullptr) return true;
  return ReserveOnce(&root_, sizeof(Branches) << kRootBits) != nullptr;
}

uint32_t* Shadow::SlotSlow(uint64_t index) {
  const auto part = [index](int shift, int bits) {
    return index >> shift & ((uint64_t{1} << bits) - 1);
  };
  Branches* root = root_.load(std::memory_order_acquire);
  if (root == nullptr) return nullptr;
  Leaves* branch =
      ReserveOnce(&root[part(kLeafBits + kBranchBits, kRootBits)], sizeof(Leaves) << kBranchBits);
  if (branch == nullptr) return nullptr;
  uint32_t* leaf =
      ReserveOnce(&branch[part(kLeafBits, kBranchBits)], sizeof(uint32_t) << kLeafBits);
  return leaf != nullptr ? leaf + part(0, kLeafBits) : nullptr;
}

bool LiveTable::Init() { return coarse_.Init(); }

uint32_t* LiveTable::Coarse(const char* p) { return coarse_.Slot(Index(Address(p))); }

// The slot that holds the block at p; nullptr: none does.
uint32_t* LiveTable::Find(const void* p) {
  if (IsForeign(p)) return nullptr;
  if (!IsOdd(p)) {
    uint32_t* slot = Coarse(static_cast<const char*>(p));
    if (slot == nullptr) return nullptr;
    const uint32_t word = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (word != 0 && IsAt(word, p)) return slot;
  }
  Shadow& finer = IsOdd(p) ? odd_ : fine_;
  if (!finer.used()) return nullptr;
  uint32_t* slot = finer.Slot(Address(p) >> 4);
  return slot != nullptr && *slot != 0 ? slot : nullptr;
}

// Stores the block's word where Find will find it; nullptr: no memory.
uint32_t* LiveTable::Claim(const void* p, uint32_t word) {
  if (IsForeign(p)) return nullptr;
  if (!IsOdd(p)) {
    uint32_t* slot = Coarse(static_cast<const char*>(p));
    if (slot == nullptr) return nullptr;
    uint32_t none = 0;
    if (__atomic_compare_exchange_n(slot, &none, word, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      return slot;
    }
  }
  Shadow& finer = IsOdd(p) ? odd_ : fine_;
  if (!finer.used() && !finer.Init()) return nullptr;
  uint32_t* slot = finer.Slot(Address(p) >> 4);
  if (slot != nullptr) *slot = word;
  return slot;
}

bool LiveTable::Put(const void* p, uint32_t site, uint64_t bytes) {
  const uint32_t code = bytes <= 0xffffffffu ? SizeCode(bytes) : kSizeWide;
  if (code >= kSizeNext) {
    const char* at = static_cast<const char*>(p);
    if (IsForeign(p)) return false;
    uint32_t* low = Coarse(at + kGranule);
    uint32_t* high = code == kSizeWide ? Coarse(at + 2 * kGranule) : low;
    if (low == nullptr || high == nullptr) return false;
    if (code == kSizeWide) *high = static_cast<uint32_t>(bytes >> 32);
    *low = static_cast<uint32_t>(bytes);
  }
  return Claim(p, Word(p, site, code)) != nullptr;
}

LiveTable::Block LiveTable::Take(const void* p) {
  Block block;
  uint32_t* slot = Find(p);
  if (slot == nullptr) return block;
  const char* at = static_cast<const char*>(p);
  const uint32_t code = CodeOf(*slot);
  block.site = SiteOf(*slot);
  block.holds_code = code == kCode || code == kMarker;
  // The further granules' slots were there when the block was put.
  const auto take = [this, at](int granule) -> uint64_t {
    uint32_t* further = Coarse(at + granule * kGranule);
    if (further == nullptr) return 0;
    const uint32_t word = *further;
    *further = 0;
    return word;
  };
  if (code < kSizeNext) block.bytes = BytesOf(code);
  if (code >= kSizeNext && code != kMarker) block.bytes = take(1);
  if (code == kSizeWide || code == kCode) block.bytes |= take(2) << 32;
  if (block.holds_code) take(kCodeGranule);
  __atomic_store_n(slot, 0, __ATOMIC_RELAXED);
  return block;
}

// -------------------------------------------------------------------------------------------------
// Code objects have more than four granules.

uint32_t LiveTable::CodeId(const char* p) {
  if (IsForeign(p)) return 0;
  const uint32_t* slot = Coarse(p + kCodeGranule * kGranule);
  return slot != nullptr ? *slot : 0;
}

void LiveTable::SetCodeId(const char* p, uint32_t id) {
  if (IsForeign(p)) return;
  uint32_t* low = Coarse(p + kGranule);
  uint32_t* high = Coarse(p + 2 * kGranule);
  uint32_t* place = Coarse(p + kCodeGranule * kGranule);
  if (low == nullptr || high == nullptr || place == nullptr) return;
  uint32_t* slot = Find(p);
  if (slot == nullptr) {
    if (Claim(p, Word(p, 0, kMarker)) == nullptr) return;
  } else if (CodeOf(*slot) < kCode) {
    const Block block = Take(p);
    *low = static_cast<uint32_t>(block.bytes);
    *high = static_cast<uint32_t>(block.bytes >> 32);
    if (Claim(p, Word(p, block.site, kCode)) == nullptr) return;
  }
  *place = id;
}

}  // namespace memtrace
