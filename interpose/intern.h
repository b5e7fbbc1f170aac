// A lock-free, insert-only index: hash -> id of a record that lives elsewhere.
//
// Open addressing: a bucket is one 64-bit word, tag (upper half of the hash) and id, so that a
// lookup that finds nothing costs one cache miss and touches no record. When three quarters of the
// buckets are taken, a table of twice the size is put in front and the words are copied into it;
// the old one is emptied, unless somebody else is copying from it, but its addresses stay, because
// somebody may still be looking at it.
//
// Invariants
//  1. A record is complete before its id is inserted.
//  2. A word, once set, never changes, but for an old table's being emptied.
//
// Threading: any thread; nobody waits for anybody, but for a moment when a table is full and its
// successor is not there yet. Two threads that
// insert equal records at once agree on one id. While a table grows, an insertion may miss its twin
// or be left behind: then two equal records exist, and readers, who compare by content, add them
// up. When full: Insert inserts nothing and the caller's record is simply not found again.

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
    Table* table = NewTable(kFirstLog2);
    table_.store(table, std::memory_order_release);
    return table != nullptr;
  }

  // Forgets everything (in a forked child, for the sites it must make anew).
  void Clear() {
    Table* table = table_.load(std::memory_order_acquire);
    os::Discard(table->words(), table->bytes());
    table->older.store(nullptr, std::memory_order_relaxed);
    table->growing.store(false, std::memory_order_relaxed);
    table->count.store(0, std::memory_order_relaxed);
  }

  // id of a record for which match(id) holds, 0 if none.
  template <class Match>
  uint32_t Find(uint64_t hash, Match&& match) const {
    const Table* table = table_.load(std::memory_order_acquire);
    do {
      uint64_t at;
      if (const uint32_t id = Probe(table, hash, match, &at)) return id;
      table = table->older.load(std::memory_order_acquire);
    } while (__builtin_expect(table != nullptr, 0));
    return 0;
  }

  // Inserts id, unless an equal record got there first; returns the id to use.
  template <class Match>
  uint32_t Insert(uint64_t hash, uint32_t id, Match&& match) {
    if (id >= max_ids_) return id;
    Table* table = table_.load(std::memory_order_acquire);
    const uint64_t word = Word(hash, id);
    for (;;) {
      uint64_t at;
      if (const uint32_t other = Probe(table, hash, match, &at)) return other;
      if (at == kFull) {
        table = Newer(table);
        if (table == nullptr) return id;
        continue;
      }
      uint64_t none = 0;
      if (table->words()[at].compare_exchange_strong(none, word, std::memory_order_acq_rel)) break;
    }
    if (table->count.fetch_add(1, std::memory_order_relaxed) >= table->mask / 4 * 3) Grow(table);
    return id;
  }

 private:
  static constexpr int kFirstLog2 = 10;
  static constexpr int kMaxLog2 = 28;
  static constexpr size_t kWorthwhile = 64 * 1024;  // bytes, for a system call
  static constexpr uint64_t kFull = ~uint64_t{0};

  struct Table {
    uint64_t mask;
    int log2;
    std::atomic<Table*> older;  // being copied from, nullptr: done
    std::atomic<uint64_t> count;
    std::atomic<bool> growing;
    std::atomic<bool> abandoned;  // its grower never came back

    std::atomic<uint64_t>* words() const {
      return reinterpret_cast<std::atomic<uint64_t>*>(reinterpret_cast<uintptr_t>(this) + 4096);
    }
    size_t bytes() const { return (mask + 1) * sizeof(uint64_t); }
  };

  static uint64_t Word(uint64_t hash, uint32_t id) { return (hash & ~uint64_t{0xffffffff}) | id; }

  static Table* NewTable(int log2) {
    if (log2 > kMaxLog2) return nullptr;
    auto* table = static_cast<Table*>(os::Reserve(4096 + (size_t{1} << log2) * sizeof(uint64_t)));
    if (table == nullptr) return nullptr;
    table->mask = (uint64_t{1} << log2) - 1;
    table->log2 = log2;
    return table;
  }

  // The upper bits of the tag choose the bucket, so that a word can be moved by itself.
  static uint64_t Home(const Table* table, uint64_t word) { return word >> (64 - table->log2); }

  // The id that matches, or 0 and in *at the empty bucket where it would go (kFull: none).
  template <class Match>
  static uint32_t Probe(const Table* table, uint64_t hash, Match&& match, uint64_t* at) {
    for (uint64_t i = 0; i <= table->mask; i++) {
      *at = (Home(table, hash) + i) & table->mask;
      const uint64_t word = table->words()[*at].load(std::memory_order_acquire);
      if (word == 0) return 0;
      if (word >> 32 == hash >> 32 && match(static_cast<uint32_t>(word))) {
        return static_cast<uint32_t>(word);
      }
    }
    *at = kFull;
    return 0;
  }

  // The table is full: the thread that was to put a larger one in front has been interrupted. Gives
  // way to it for a while; nullptr: in vain (it did not survive a fork, or there is no memory).
  Table* Newer(Table* table) {
    constexpr int kPatience = 1000;
    for (int i = 0; i < kPatience && !table->abandoned.load(std::memory_order_relaxed); i++) {
      Table* now = table_.load(std::memory_order_acquire);
      if (now != table) return now;
      os::Yield();
    }
    table->abandoned.store(true, std::memory_order_relaxed);
    return nullptr;
  }

  // A word that is there already has come by way of another table.
  static void Copy(Table* to, uint64_t word) {
    for (uint64_t i = 0; i <= to->mask; i++) {
      uint64_t there = 0;
      auto& place = to->words()[(Home(to, word) + i) & to->mask];
      if (place.compare_exchange_strong(there, word, std::memory_order_acq_rel)) return;
      if (there == word) return;
    }
  }

  // One thread grows; the others go on with what there is. When the table is itself still being
  // filled from older ones, by a thread that was suspended or did not survive a fork, those are
  // copied from, too.
  __attribute__((noinline)) void Grow(Table* table) {
    if (table->growing.exchange(true, std::memory_order_acq_rel)) return;
    Table* larger = NewTable(table->log2 + 1);
    if (larger == nullptr) return;
    growers_.fetch_add(1);
    const Table* sources[kMaxLog2];
    int count = 0;
    for (const Table* t = table; t != nullptr; t = t->older.load(std::memory_order_acquire)) {
      sources[count++] = t;
    }
    larger->older.store(table, std::memory_order_relaxed);
    larger->count.store(table->count.load(std::memory_order_relaxed), std::memory_order_relaxed);
    table_.store(larger, std::memory_order_release);
    for (int n = 0; n < count; n++) {
      for (uint64_t i = 0; i <= sources[n]->mask; i++) {
        const uint64_t word = sources[n]->words()[i].load(std::memory_order_acquire);
        if (word != 0) Copy(larger, word);
      }
    }
    larger->older.store(nullptr);
    // Whoever grows from here on finds no older table; one that has begun may be copying from ours.
    const bool alone = growers_.load() == 1;
    for (int n = 0; alone && n < count; n++) {
      if (sources[n]->bytes() >= kWorthwhile) os::Discard(sources[n]->words(), sources[n]->bytes());
    }
    growers_.fetch_sub(1);
  }

  std::atomic<Table*> table_{nullptr};
  std::atomic<int> growers_{
      0};  // under way; in a forked child perhaps for ever: nothing is emptied
  uint32_t max_ids_ = 0;
};

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_INTERN_H_
