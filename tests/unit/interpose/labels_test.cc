// Labels of frames against maps: made-up frames, which nobody reads.

#include "interpose/labels.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "interpose/region.h"
#include "interpose/site_tree.h"
#include "tests/events.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

constexpr uint32_t kThread = 1;

void Start() {
  RecordedAlloc(1, Domain::kMalloc, 0x1000, [] { return reinterpret_cast<void*>(0x210000000000); });
  ASSERT_NE(t_thread, nullptr);
  t_thread->busy = Busy::kRecording;
}

const char* Frame(uint64_t number) {
  return reinterpret_cast<const char*>(0x7f0000000000 + number * 64);
}
const char* Code(uint64_t number) { return reinterpret_cast<const char*>(0x600000000000 + number); }

uint32_t Label(const std::string& name) {
  return InternFrame(FrameKind::kLabel, InternString(name.data(), name.size()), 0, 0);
}

// The labels between the root and a node, outermost first.
std::vector<uint32_t> LabelsOf(uint32_t node) {
  std::vector<uint32_t> labels;
  for (; node != 0; node = g_region.At<NodeRecord>(kNodes, node)->parent) {
    labels.insert(labels.begin(), g_region.At<NodeRecord>(kNodes, node)->frame);
  }
  return labels;
}

TEST(Labels, LieInsideOneAnotherInTheOrderTheyWereAdded) {
  MEMTRACE_ISOLATED();
  Start();
  const uint32_t a = Label("a"), b = Label("b"), c = Label("c");
  EXPECT_EQ(LabelNode(0, Frame(1), Code(1)), 0u) << "no label yet";
  for (uint32_t label : {a, b, c, b}) ASSERT_TRUE(AddLabel(Frame(1), Code(1), label, kThread));
  ASSERT_TRUE(AddLabel(Frame(2), Code(1), c, kThread));
  EXPECT_EQ(LabelsOf(LabelNode(0, Frame(1), Code(1))), (std::vector{a, b, c, b}));
  EXPECT_EQ(LabelsOf(LabelNode(0, Frame(2), Code(1))), std::vector{c});
  ASSERT_TRUE(RemoveLabel(Frame(1), b)) << "the innermost of two";
  EXPECT_EQ(LabelsOf(LabelNode(0, Frame(1), Code(1))), (std::vector{a, b, c}));
  ASSERT_TRUE(RemoveLabel(Frame(1), a)) << "in any order";
  EXPECT_EQ(LabelsOf(LabelNode(0, Frame(1), Code(1))), (std::vector{b, c}));
  EXPECT_FALSE(RemoveLabel(Frame(1), a));
  ASSERT_TRUE(RemoveLabel(Frame(1), c) && RemoveLabel(Frame(1), b) && RemoveLabel(Frame(2), c));
  EXPECT_EQ(g_frame_marks.load(), 0u);
  t_thread->busy = Busy::kIdle;
}

TEST(Labels, OfAFrameThatHasEndedAreNotAnothers) {
  MEMTRACE_ISOLATED();
  Start();
  const uint32_t a = Label("a"), b = Label("b");
  ASSERT_TRUE(AddLabel(Frame(1), Code(1), a, kThread));
  EXPECT_EQ(LabelNode(0, Frame(1), Code(2)), 0u) << "another function at that address";
  ASSERT_TRUE(AddLabel(Frame(1), Code(2), b, kThread));
  EXPECT_EQ(LabelsOf(LabelNode(0, Frame(1), Code(2))), std::vector{b});
  EXPECT_EQ(g_frame_marks.load(), 1u) << "what was left has been found out";
  ASSERT_TRUE(AddLabel(Frame(3), Code(1), a, kThread));
  EXPECT_FALSE(RemoveStrayLabel(a, kThread + 1)) << "another thread's";
  EXPECT_TRUE(RemoveStrayLabel(a, kThread));
  EXPECT_EQ(LabelNode(0, Frame(3), Code(1)), 0u);
  t_thread->busy = Busy::kIdle;
}

// More frames than there is room for: those that were refused have none, and all others theirs.
TEST(Labels, ThatDoNotFitAreRefused) {
  MEMTRACE_ISOLATED();
  Start();
  const uint32_t a = Label("a");
  constexpr uint64_t kFrames = 200000;
  std::vector<bool> added(kFrames);
  uint64_t count = 0;
  for (uint64_t n = 0; n < kFrames; n++) {
    added[n] = AddLabel(Frame(n), Code(1), a, kThread);
    count += added[n];
  }
  EXPECT_GT(count, 100000u);
  EXPECT_LT(count, kFrames);
  for (uint64_t n = 0; n < kFrames; n++) {
    ASSERT_EQ(LabelNode(0, Frame(n), Code(1)) != 0, added[n]) << n;
  }
  for (uint64_t n = 0; n < kFrames; n++) ASSERT_EQ(RemoveLabel(Frame(n), a), added[n]) << n;
  EXPECT_EQ(g_frame_marks.load(), 0u);
  t_thread->busy = Busy::kIdle;
}

// Threads with frames of their own, at once: each finds what it has added, at every moment.
TEST(Labels, OfManyThreadsAtOnce) {
  MEMTRACE_ISOLATED();
  Start();
  constexpr int kThreads = 4, kTurns = 20000;
  const uint32_t labels[] = {Label("a"), Label("b"), Label("c")};
  std::vector<std::thread> threads;
  std::vector<std::string> wrong(kThreads);
  for (int thread = 0; thread < kThreads; thread++) {
    threads.emplace_back([&, thread] {
      std::mt19937_64 random(static_cast<uint64_t>(thread));
      std::map<uint64_t, std::vector<uint32_t>> has;
      for (int turn = 0; turn < kTurns && wrong[thread].empty(); turn++) {
        const uint64_t number = random() % 500 * kThreads + static_cast<uint64_t>(thread);
        std::vector<uint32_t>& mine = has[number];
        if (mine.size() < 3 && random() % 2 == 0) {
          mine.push_back(labels[mine.size()]);
          if (!AddLabel(Frame(number), Code(1), mine.back(), kThread)) wrong[thread] = "refused";
        } else if (!mine.empty()) {
          if (!RemoveLabel(Frame(number), mine.back())) wrong[thread] = "not there";
          mine.pop_back();
        }
        if (LabelsOf(LabelNode(0, Frame(number), Code(1))) != mine) wrong[thread] = "others";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& what : wrong) EXPECT_EQ(what, "");
  t_thread->busy = Busy::kIdle;
}

}  // namespace
}  // namespace memtrace::testing
