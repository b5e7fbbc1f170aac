// A lock-free, insert-only index: hash -> id of a record that lives elsewhere.
//
// Buckets are heads of chains through `next`, one 32-bit word per record id, in private memory.
// When chains grow long, a larger set of buckets is put in front; older ones stay and are searched
// after it. Nothing is ever moved or removed, so a reader never waits and never retries.
//
// Invariants
//  1. A record is complete before its id is linked.
//  2. next[id] is written before the id becomes reachable, and never after.
//
// Threading: any thread, also inside signal handlers. Two threads that insert equal records at once
// agree on one id unless the buckets grow at that very moment; then both exist, and readers, who
// compare by content, add them up.
// When full: Insert links nothing and the caller's record is simply not found again.

#ifndef MEMTRACE_INTERPOSE_INTERN_H_
#define MEMTRACE_INTERPOSE_INTERN_H_

#include <atomic>
#include <cstdint>

#include "interpose/os/os.h"

namespace memtrace {

inline uint64_t Mix(uint64_t x) {  // the finisher of MurmurHash3 (Austin Appleby, public domain)
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ull;
  return x ^ x >> 33;
}

class InternIndex {
 public:
  bool Init(uint32_t max_ids) {
    max_ids_ = max_ids;
    next_ = static_cast<uint32_t*>(os::Reserve(size_t{max_ids} * sizeof(uint32_t)));
    return next_ != nullptr && AddLevel(0);
  }

  // Forgets everything (in a forked child, for the sites it must make anew).
  void Clear() {
    for (int i = 0; i <= top_.load(std::memory_order_relaxed); i++) {
      os::Discard(levels_[i], LevelBytes(i));
    }
    count_.store(0, std::memory_order_relaxed);
  }

  // id of a record for which match(id) holds, 0 if none.
  template <class Match>
  uint32_t Find(uint64_t hash, Match&& match) const {
    for (int i = top_.load(std::memory_order_acquire); i >= 0; i--) {
      const uint32_t head = levels_[i][hash & Mask(i)].load(std::memory_order_acquire);
      if (const uint32_t id = Scan(head, 0, match)) return id;
    }
    return 0;
  }

  // Links id, unless an equal record got there first; returns the id to use.
  template <class Match>
  uint32_t Insert(uint64_t hash, uint32_t id, Match&& match) {
    if (id >= max_ids_) return id;
    const int level = top_.load(std::memory_order_acquire);
    std::atomic<uint32_t>& bucket = levels_[level][hash & Mask(level)];
    uint32_t head = bucket.load(std::memory_order_acquire);
    uint32_t searched = 0;
    do {
      if (const uint32_t other = Scan(head, searched, match)) return other;
      searched = head;
      next_[id] = head;
    } while (!bucket.compare_exchange_weak(head, id, std::memory_order_acq_rel));
    if (count_.fetch_add(1, std::memory_order_relaxed) > 4 * (Mask(level) + 1)) Grow(level);
    return id;
  }

 private:
  static constexpr int kLevels = 5;  // 2^10, 2^13, 2^16, 2^19, 2^22 buckets
  static uint64_t Mask(int level) { return (uint64_t{1024} << (3 * level)) - 1; }
  static size_t LevelBytes(int level) { return (Mask(level) + 1) * sizeof(uint32_t); }

  template <class Match>
  uint32_t Scan(uint32_t id, uint32_t until, Match&& match) const {
    for (; id != until && id != 0; id = next_[id]) {
      if (match(id)) return id;
    }
    return 0;
  }

  bool AddLevel(int level) {
    auto* buckets = static_cast<std::atomic<uint32_t>*>(os::Reserve(LevelBytes(level)));
    if (buckets == nullptr) return false;
    std::atomic<uint32_t>* none = nullptr;
    if (!slots_[level].compare_exchange_strong(none, buckets, std::memory_order_acq_rel)) {
      os::Release(buckets, LevelBytes(level));
    }
    levels_[level] = slots_[level].load(std::memory_order_acquire);
    return true;
  }

  void Grow(int level) {
    if (level + 1 >= kLevels || !AddLevel(level + 1)) return;
    top_.compare_exchange_strong(level, level + 1, std::memory_order_acq_rel);
  }

  uint32_t* next_ = nullptr;
  uint32_t max_ids_ = 0;
  std::atomic<int> top_{0};
  std::atomic<uint32_t> count_{0};
  std::atomic<uint32_t>* levels_[kLevels] = {};
  std::atomic<std::atomic<uint32_t>*> slots_[kLevels] = {};
};

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_INTERN_H_
