// The tree of stacks against maps: one id for one thing, whoever asks and however often.

#include "interpose/site_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/events.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

// The thread that runs this is known to the recorder afterwards.
Thread* Known() {
  RecordedAlloc(1, Domain::kMalloc, 0x1000, [] { return reinterpret_cast<void*>(0x210000000000); });
  return t_thread;
}

uint32_t RandomFrame(std::mt19937_64* random) {
  const uint64_t number = (*random)() % 60;
  const std::string name = "f" + std::to_string(number % 20);
  const uint32_t text = InternString(name.data(), name.size());
  const uint32_t code = InternCode(text, text, 1, number % 20);
  return InternFrame(FrameKind::kPython, code, static_cast<uint32_t>(1 + number / 20), 0);
}

TEST(SiteTree, AgreesWithMapsOfRandomStacks) {
  MEMTRACE_ISOLATED();
  Thread* t = Known();
  ASSERT_NE(t, nullptr);
  t->busy = Busy::kRecording;
  std::mt19937_64 random(1);
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> nodes;
  std::map<std::pair<uint32_t, Domain>, uint32_t> sites;
  std::set<uint32_t> node_ids, site_ids, frames;
  for (int i = 0; i < 5000; i++) {
    uint32_t node = 0;
    for (uint64_t depth = random() % 12; depth > 0; depth--) {
      const uint32_t frame = RandomFrame(&random);
      ASSERT_NE(frame, 0u);
      frames.insert(frame);
      const uint32_t child = InternNode(node, frame);
      ASSERT_NE(child, 0u);
      const auto [at, is_new] = nodes.emplace(std::make_pair(node, frame), child);
      ASSERT_EQ(at->second, child) << "two ids for one node";
      ASSERT_EQ(node_ids.insert(child).second, is_new) << "one id for two nodes";
      node = child;
    }
    if (node == 0) continue;
    const Domain domain = random() % 2 == 0 ? Domain::kPythonMem : Domain::kPythonObj;
    const uint32_t site = InternPythonSite(t, node, domain);
    ASSERT_NE(site, 0u);
    const auto [at, is_new] = sites.emplace(std::make_pair(node, domain), site);
    ASSERT_EQ(at->second, site) << "two ids for one site";
    ASSERT_EQ(site_ids.insert(site).second, is_new) << "one id for two sites";
  }
  t->busy = Busy::kIdle;
  EXPECT_EQ(frames.size(), 60u);
  EXPECT_GT(nodes.size(), 10000u);
  EXPECT_EQ(Lost(), 0u);
}

// Threads that make the same stacks at once: an id stands for one pair only, ever.
TEST(SiteTree, AnIdStandsForOneNodeWhenThreadsMakeThemAtOnce) {
  MEMTRACE_ISOLATED();
  constexpr int kThreads = 4, kStacks = 2000;
  std::vector<std::vector<std::pair<std::pair<uint32_t, uint32_t>, uint32_t>>> made(kThreads);
  std::vector<std::thread> threads;
  for (int n = 0; n < kThreads; n++) {
    threads.emplace_back([&, n] {
      std::mt19937_64 random(static_cast<uint64_t>(n % 2));  // two and two want the same
      for (int i = 0; i < kStacks; i++) {
        uint32_t node = 0;
        for (uint64_t depth = random() % 12; depth > 0; depth--) {
          const uint32_t frame = RandomFrame(&random);
          const uint32_t child = InternNode(node, frame);
          made[n].push_back({{node, frame}, child});
          node = child;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::map<uint32_t, std::pair<uint32_t, uint32_t>> meaning;
  for (const auto& thread : made) {
    for (const auto& [pair, id] : thread) {
      ASSERT_NE(id, 0u);
      ASSERT_EQ(meaning.emplace(id, pair).first->second, pair) << "id " << id;
    }
  }
  EXPECT_GT(meaning.size(), 5000u);
  EXPECT_EQ(Lost(), 0u);
}

}  // namespace
}  // namespace memtrace::testing
