#include "interpose/intern.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

// Records: id -> key. Ids are given out in turn, as the region does.
class Keys {
 public:
  explicit Keys(uint32_t max_ids) : keys_(max_ids) { EXPECT_TRUE(index_.Init(max_ids)); }

  uint32_t Find(uint64_t key, uint64_t hash) const {
    return index_.Find(hash, [&](uint32_t id) { return keys_[id] == key; });
  }
  uint32_t Intern(uint64_t key, uint64_t hash) {
    if (const uint32_t id = Find(key, hash)) return id;
    const uint32_t id = next_.fetch_add(1);
    keys_[id] = key;
    return index_.Insert(hash, id, [&](uint32_t other) { return keys_[other] == key; });
  }
  uint64_t key(uint32_t id) const { return keys_[id]; }
  uint32_t used() const { return next_.load(); }
  InternIndex& index() { return index_; }

 private:
  InternIndex index_;
  std::vector<uint64_t> keys_;
  std::atomic<uint32_t> next_{1};
};

TEST(InternIndex, GivesOneIdForOneKeyWhileItGrows) {
  constexpr uint64_t kKeys = 300000;
  Keys keys(1 << 20);
  std::vector<uint32_t> ids(kKeys);
  for (uint64_t key = 0; key < kKeys; key++) {
    EXPECT_EQ(keys.Find(key, Mix(key)), 0u);
    ids[key] = keys.Intern(key, Mix(key));
    ASSERT_NE(ids[key], 0u);
    if (key % 1000 == 999) {  // all that went before is still found after each growth
      for (uint64_t old = key % 7; old <= key; old += 97) {
        ASSERT_EQ(keys.Find(old, Mix(old)), ids[old]) << "key " << old << " of " << key;
      }
    }
  }
  EXPECT_EQ(keys.used(), kKeys + 1);
  for (uint64_t key = 0; key < kKeys; key++) ASSERT_EQ(keys.Intern(key, Mix(key)), ids[key]);
  EXPECT_EQ(keys.used(), kKeys + 1);
}

TEST(InternIndex, TellsKeysOfOneHashApart) {
  Keys keys(1 << 16);
  for (const uint64_t hash : {uint64_t{0}, ~uint64_t{0}, uint64_t{0xdeadbeef}}) {
    std::set<uint32_t> ids;
    for (uint64_t key = 0; key < 400; key++) ids.insert(keys.Intern(hash ^ key << 32, hash));
    EXPECT_EQ(ids.size(), 400u);
    for (uint64_t key = 0; key < 400; key++) {
      EXPECT_EQ(keys.key(keys.Find(hash ^ key << 32, hash)), hash ^ key << 32);
    }
  }
}

TEST(InternIndex, ForgetsAllAndStartsAnew) {
  Keys keys(1 << 18);
  for (uint64_t key = 0; key < 50000; key++) keys.Intern(key, Mix(key));
  keys.index().Clear();
  for (uint64_t key = 0; key < 50000; key++) ASSERT_EQ(keys.Find(key, Mix(key)), 0u);
  for (uint64_t key = 0; key < 100000; key++) ASSERT_NE(keys.Intern(key, Mix(key)), 0u);
  for (uint64_t key = 0; key < 100000; key++) {
    const uint32_t id = keys.Find(key, Mix(key));
    ASSERT_GT(id, 50000u);
    ASSERT_EQ(keys.key(id), key);
  }
}

TEST(InternIndex, AnIdBeyondItsLimitIsNotFoundAgain) {
  InternIndex index;
  ASSERT_TRUE(index.Init(100));
  const auto none = [](uint32_t) { return false; };
  EXPECT_EQ(index.Insert(Mix(1), 100, none), 100u);
  EXPECT_EQ(index.Find(Mix(1), [](uint32_t) { return true; }), 0u);
  EXPECT_EQ(index.Insert(Mix(1), 99, none), 99u);
  EXPECT_EQ(index.Find(Mix(1), [](uint32_t) { return true; }), 99u);
}

// Several threads intern the same keys in different orders. Every id that is given stands for its
// key. Twins may come from the moments of growth alone, and are few.
TEST(InternIndex, SeveralThreadsAgree) {
  constexpr int kThreads = 6;
  constexpr uint64_t kKeys = 40000;
  Keys keys(1 << 20);
  std::vector<std::vector<uint32_t>> ids(kThreads, std::vector<uint32_t>(kKeys));
  std::atomic<int> wrong{0}, forgotten{0};
  std::vector<std::thread> threads;
  for (int n = 0; n < kThreads; n++) {
    threads.emplace_back([&, n] {
      for (uint64_t i = 0; i < kKeys; i++) {
        // Neighbours in time are neighbours in key for half of them, so that they collide.
        const uint64_t key = n % 2 == 0 ? i : (i * 7919 + static_cast<uint64_t>(n)) % kKeys;
        ids[n][key] = keys.Intern(key, Mix(key));
        if (ids[n][key] == 0 || keys.key(ids[n][key]) != key) wrong++;
        if (keys.Find(key, Mix(key)) == 0) forgotten++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  uint64_t twins = 0;
  for (uint64_t key = 0; key < kKeys; key++) {
    std::set<uint32_t> given;
    for (int n = 0; n < kThreads; n++) given.insert(ids[n][key]);
    twins += given.size() - 1;
  }
  EXPECT_LT(twins, kKeys / 100);
  EXPECT_LT(forgotten, static_cast<int>(kKeys / 100)) << "ids left behind while the table grew";
}

// Keys that nobody else has are unique, however much the table grows meanwhile.
TEST(InternIndex, SeveralThreadsKeepTheirOwnKeysApart) {
  constexpr int kThreads = 4;
  constexpr uint64_t kKeys = 50000;
  Keys keys(1 << 20);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (uint64_t n = 0; n < kThreads; n++) {
    threads.emplace_back([&, n] {
      for (uint64_t i = 0; i < kKeys; i++) {
        const uint64_t key = i * kThreads + n;
        const uint32_t id = keys.Intern(key, Mix(key));
        if (id == 0 || keys.key(id) != key) wrong++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(keys.used(), kThreads * kKeys + 1);
  // A key that was left behind while the table grew may be missing; it would be made again.
  uint64_t missing = 0;
  for (uint64_t key = 0; key < kThreads * kKeys; key++) {
    const uint32_t id = keys.Find(key, Mix(key));
    if (id == 0) {
      missing++;
    } else {
      ASSERT_EQ(keys.key(id), key);
    }
  }
  EXPECT_LT(missing, kThreads * kKeys / 100);
}

}  // namespace
}  // namespace memtrace::testing
