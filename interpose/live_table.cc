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

// Threads that are making a shadow. A child that was forked meanwhile sees too many.
std::atomic<int> g_making{0};

struct Making {
  Making() { g_making.fetch_add(1); }
  ~Making() { g_making.fetch_sub(1); }
};

// Memory for a flat shadow, unless one is chosen meanwhile. nullptr: there is no room, and it was
// not another thread's that was in the way.
void* ReserveFlat(size_t bytes, const std::atomic<uintptr_t>& chosen) {
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries && chosen.load(std::memory_order_acquire) == 0; i++) {
    void* flat = os::Reserve(bytes);
    if (flat != nullptr || g_making.load() == 1) return flat;
    os::Yield();
  }
  return nullptr;
}

}  // namespace

bool Shadow::Init() {
  constexpr size_t kFlat = sizeof(uint32_t) << kIndexBits;
  constexpr size_t kRoot = sizeof(Branches) << kRootBits;
  uintptr_t chosen = chosen_.load(std::memory_order_acquire);
  if (chosen == 0) {
    const Making making;
    void* flat = MEMTRACE_FLAT_SHADOW ? ReserveFlat(kFlat, chosen_) : nullptr;
    void* fresh = flat != nullptr ? flat : os::Reserve(kRoot);
    const uintptr_t mine = reinterpret_cast<uintptr_t>(fresh) | (flat != nullptr ? kIsFlat : 0);
    if (chosen_.compare_exchange_strong(chosen, mine, std::memory_order_acq_rel)) {
      chosen = mine;
    } else if (fresh != nullptr) {
      os::Release(fresh, flat != nullptr ? kFlat : kRoot);
    }
  }
  if ((chosen & kIsFlat) != 0) {
    flat_.store(reinterpret_cast<uint32_t*>(chosen - kIsFlat), std::memory_order_release);
  }
  return chosen != 0;
}

Shadow::Branches* Shadow::Root() const {
  const uintptr_t chosen = chosen_.load(std::memory_order_acquire);
  return (chosen & kIsFlat) == 0 ? reinterpret_cast<Branches*>(chosen) : nullptr;
}

uint32_t* Shadow::SlotSlow(uint64_t index) {
  const auto part = [index](int shift, int bits) {
    return index >> shift & ((uint64_t{1} << bits) - 1);
  };
  Branches* root = Root();
  if (root == nullptr) {  // none is chosen, or another thread is just about to store flat_
    return used() && Init() ? flat_.load(std::memory_order_acquire) + index : nullptr;
  }
  Leaves* branch =
      ReserveOnce(&root[part(kLeafBits + kBranchBits, kRootBits)], sizeof(Leaves) << kBranchBits);
  if (branch == nullptr) return nullptr;
  uint32_t* leaf =
      ReserveOnce(&branch[part(kLeafBits, kBranchBits)], sizeof(uint32_t) << kLeafBits);
  return leaf != nullptr ? leaf + part(0, kLeafBits) : nullptr;
}

const uint32_t* Shadow::Leaf(uint64_t index, uint64_t* next) const {
  constexpr uint64_t kBranchWords = kLeafWords << kBranchBits;
  *next = (index / kBranchWords + 1) * kBranchWords;
  Branches* root = Root();
  Leaves* branch =
      root != nullptr ? root[index / kBranchWords].load(std::memory_order_acquire) : nullptr;
  if (branch == nullptr) return nullptr;
  *next = (index / kLeafWords + 1) * kLeafWords;
  const uint32_t* leaf = branch[index % kBranchWords / kLeafWords].load(std::memory_order_acquire);
  return leaf != nullptr ? leaf + index % kLeafWords : nullptr;
}

bool LiveTable::Init() {
  static_assert(offsetof(LiveTable, coarse_) == offsetof(LiveShadows, coarse));
  static_assert(offsetof(LiveTable, fine_) == offsetof(LiveShadows, fine));
  static_assert(offsetof(LiveTable, odd_) == offsetof(LiveShadows, odd));
  return coarse_.Init();
}

uint32_t* LiveTable::Coarse(const char* p) { return coarse_.Slot(LiveCoarseIndex(Address(p))); }

// The slot that holds the block at p; nullptr: none does.
uint32_t* LiveTable::Find(const void* p) {
  if (IsForeign(p)) return nullptr;
  if (!IsOdd(p)) {
    uint32_t* slot = Coarse(static_cast<const char*>(p));
    if (slot == nullptr) return nullptr;
    const uint32_t word = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (Starts(word) && IsAt(word, p)) return slot;
  }
  Shadow& finer = IsOdd(p) ? odd_ : fine_;
  if (!finer.used()) return nullptr;
  uint32_t* slot = finer.Slot(LiveFineIndex(Address(p)));
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
  uint32_t* slot = finer.Slot(LiveFineIndex(Address(p)));
  if (slot != nullptr) *slot = word;
  return slot;
}

bool LiveTable::Put(const void* p, uint32_t site, uint64_t bytes) {
  const uint32_t code = bytes <= kMaxNext ? SizeCode(bytes) : kSizeWide;
  if (code >= kSizeNext) {
    const char* at = static_cast<const char*>(p);
    if (IsForeign(p)) return false;
    uint32_t* low = Coarse(at + kGranule);
    uint32_t* high = code == kSizeWide ? Coarse(at + 2 * kGranule) : low;
    if (low == nullptr || high == nullptr) return false;
    if (code == kSizeWide) *high = static_cast<uint32_t>(bytes >> (32 - kTagBits)) << kTagBits;
    *low = static_cast<uint32_t>(bytes) << kTagBits;
  }
  return Claim(p, Word(p, site, code)) != nullptr;
}

// Two blocks that start in one granule: the first one is of 16 bytes at most.
bool LiveTable::AreNeighbours(const void* p, uint64_t bytes, const void* other, uint32_t word) {
  if (Address(p) < Address(other)) return bytes <= 16;
  return CodeOf(word) <= kExact + 1 && LiveBytesOf(CodeOf(word)) <= 16;
}

// Where the block starts whose record has this word in this granule; nullptr: nowhere.
const void* LiveTable::Owner(const char* granule, uint32_t word) {
  if (Starts(word)) return granule + ((word & kHalf) != 0 ? 16 : 0);
  for (int back = 1; back <= static_cast<int>(kCodeGranule); back++) {
    const char* before = granule - back * static_cast<int>(kGranule);
    const uint32_t* slot = Coarse(before);
    if (slot == nullptr || !Starts(*slot)) continue;
    const uint32_t code = CodeOf(*slot);
    const int reach = code < kSizeNext ? 0 : code == kSizeNext ? 1 : code == kSizeWide ? 2 : 3;
    return reach >= back ? Owner(before, *slot) : nullptr;
  }
  return nullptr;
}

const void* LiveTable::Stale(const void* p, uint64_t bytes) {
  if (IsForeign(p)) return nullptr;
  if (Holds(p)) return p;
  if (IsOdd(p)) return nullptr;
  const char* first = reinterpret_cast<const char*>(Address(p) & ~uint64_t{kGranule - 1});
  const uint32_t further = bytes > kMaxNext ? 2 : SizeCode(bytes) == kSizeNext ? 1 : 0;
  for (uint32_t i = 0; i <= further; i++) {
    const char* granule = first + i * kGranule;
    uint32_t* slot = Coarse(granule);
    const uint32_t word = slot != nullptr ? *slot : 0;
    if (word == 0) continue;
    const void* owner = Owner(granule, word);
    if (owner == nullptr) {
      *slot = 0;  // what is left of a record
    } else if (i > 0 || !Starts(word) || !AreNeighbours(p, bytes, owner, word)) {
      return owner;
    }
  }
  return nullptr;
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
    if (Starts(word)) return 0;
    *further = 0;
    return word >> kTagBits;
  };
  if (code < kSizeNext) block.bytes = LiveBytesOf(code);
  if (code >= kSizeNext && code != kMarker) block.bytes = take(1);
  if (code == kSizeWide || code == kCode) block.bytes |= take(2) << (32 - kTagBits);
  if (block.holds_code && take(kCodeGranule) == kThreadStateId) {
    block.holds_code = false;
    block.thread_state = p;
  }
  __atomic_store_n(slot, 0, __ATOMIC_RELAXED);
  return block;
}

// -------------------------------------------------------------------------------------------------
// Code objects have more than four granules.

uint32_t LiveTable::CodeId(const char* p) {
  if (IsForeign(p)) return 0;
  const uint32_t* slot = Coarse(p + kCodeGranule * kGranule);
  const uint32_t id = slot != nullptr ? IdOf(*slot) : kNoCodeId;
  return id < kNoCodeId ? id : 0;
}

void LiveTable::MarkThreadState(const char* p) {
  if (!Holds(p)) p -= kDebugHeader;
  if (Holds(p)) SetCodeId(p, kThreadStateId);
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
    *low = static_cast<uint32_t>(block.bytes) << kTagBits;
    *high = static_cast<uint32_t>(block.bytes >> (32 - kTagBits)) << kTagBits;
    if (Claim(p, Word(p, block.site, kCode)) == nullptr) return;
  }
  *place = id << kTagBits | kId;
}

}  // namespace memtrace
