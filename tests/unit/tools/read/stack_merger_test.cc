#include "tools/read/stack_merger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/unit/tools/read/region_builder.h"
#include "tests/unit/tools/read/rich_region.h"
#include "tests/unit/tools/read/well_formed.h"
#include "tools/read/decode.h"

namespace memtrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using testing::RegionBuilder;

// A region of one thread, whose Python functions are p1, p2, ... and whose native code is named by
// its address: n1, n2, ... in libmix.so.
class Merged : public ::testing::Test {
 protected:
  void SetUp() override {
    builder_.header().flags = kFlagNativeStacks;
    thread_ = builder_.Thread(1, "main");
    library_ = builder_.Module("/app/libmix.so");
    evaluation_ = builder_.EvaluationFrame();
  }
  void Version(uint32_t hex) { builder_.header().python_version = hex; }

  // Stacks in words, outermost frame first: "p1 p2 E" and "n1 E n2".
  uint32_t Node(bool native, const std::string& words) {
    uint32_t node = 0;
    for (absl::string_view word : absl::StrSplit(words, ' ', absl::SkipEmpty())) {
      const uint32_t frame = FrameOf(std::string(word));
      auto [it, fresh] = nodes_.try_emplace({native, node, frame}, 0u);
      if (fresh)
        it->second = native ? builder_.NativeNode(node, frame) : builder_.Node(node, frame);
      node = it->second;
    }
    return node;
  }
  uint32_t FrameOf(const std::string& word) {
    if (word == "E") return evaluation_;
    auto [it, fresh] = frames_.try_emplace(word, 0u);
    if (!fresh) return it->second;
    if (word[0] == 'l') return it->second = builder_.LabelFrame(word);
    const uint32_t number = static_cast<uint32_t>(std::stoul(word.substr(1)));
    it->second = word[0] == 'p'
                     ? builder_.PythonFrame(builder_.Code(word, "/app/main.py", 1), number)
                     : builder_.NativeFrame(word[0] == 'n' ? library_ : OtherModule(word), number);
    return it->second;
  }
  uint32_t OtherModule(const std::string& word) {
    return builder_.Module(word[0] == 'c' ? "/lib/x86_64-linux-gnu/libc.so.6" : "/app/program");
  }
  void Allocate(const std::string& python, const std::string& native) {
    const uint32_t site =
        builder_.SmallSite(Node(false, python), Node(true, native), Domain::kMalloc, thread_);
    builder_.SmallCellAt(site, thread_).alloc = PackSmall(1, 100);
  }

  absl::StatusOr<Profile> Decode() {
    bytes_ = builder_.Bytes();
    auto region = RegionFile::FromBytes(bytes_.data(), bytes_.size(), "test");
    if (!region.ok()) return region.status();
    DecodeOptions options;
    options.symbolizer = &names_;
    return DecodeRegion(**region, options);
  }
  // The stacks of all samples, outermost frame first.
  std::vector<std::string> Stacks() {
    absl::StatusOr<Profile> profile = Decode();
    EXPECT_TRUE(profile.ok()) << profile.status();
    std::vector<std::string> stacks;
    if (!profile.ok()) return stacks;
    EXPECT_EQ(testing::WhatIsMalformed(*profile), "");
    for (const Sample& sample : profile->samples()) {
      EXPECT_EQ(sample.caller, 0u);
      std::vector<std::string> words;
      for (FrameId id : profile->Stack(sample.node)) {
        const Frame& frame = profile->frame(id);
        const std::string& name = profile->string(profile->function(frame.function).name);
        words.insert(words.begin(), name.empty() ? absl::StrCat("?", frame.address) : name);
      }
      stacks.push_back(absl::StrJoin(words, " "));
    }
    return stacks;
  }
  std::vector<std::string> Labels() {
    absl::StatusOr<Profile> profile = Decode();
    EXPECT_TRUE(profile.ok()) << profile.status();
    std::vector<std::string> labels;
    if (!profile.ok()) return labels;
    for (const Sample& s : profile->samples()) labels.push_back(profile->string(s.label));
    return labels;
  }
  std::string ErrorOf() {
    absl::StatusOr<Profile> profile = Decode();
    return profile.ok() ? "" : std::string(profile.status().message());
  }

  // Names of native code by module and address, as a symbol table would give them.
  class Names : public Symbolizer {
   public:
    NativeFrames Resolve(const Module& module, uint64_t address) override {
      NativeSymbol symbol;
      if (module.path == "/app/libmix.so") symbol.function = absl::StrCat("n", address);
      if (auto it = named.find({module.path, address}); it != named.end()) {
        symbol.function = it->second;
      }
      return {symbol};
    }
    bool ran_out_of_time() const override { return false; }
    std::map<std::pair<std::string, uint64_t>, std::string> named;
  };

  RegionBuilder builder_;
  Names names_;
  std::string bytes_;
  std::map<std::tuple<bool, uint32_t, uint32_t>, uint32_t> nodes_;
  std::map<std::string, uint32_t> frames_;
  uint32_t thread_ = 0, library_ = 0, evaluation_ = 0;
};

// Up to 3.10 each Python frame is an evaluation of its own.
TEST_F(Merged, Python310TakesAFrameForEachEvaluation) {
  Version(0x030a00f0);
  Allocate("p1 p2 p3", "n1 E E n2 n3 E n4");
  EXPECT_THAT(Stacks(), ElementsAre("n1 p1 p2 n2 n3 p3 n4"));
}

// From 3.11 on the marks of the Python stack say how many frames an evaluation has.
TEST_F(Merged, Python311TakesAllFramesOfAnEvaluation) {
  Version(0x030b00f0);
  Allocate("E p1 p2 p3 E p4", "n1 E n2 n3 E n4");
  EXPECT_THAT(Stacks(), ElementsAre("n1 p1 p2 p3 n2 n3 p4 n4"));
}

// They are no frames and no evaluations, whichever side of a mark they are on.
TEST_F(Merged, LabelsAreNoPartOfIt) {
  Allocate("l1 E p1 l2 l3 p2 p3 l1 E l2 p4 l4", "n1 E n2 n3 E n4");
  Allocate("l1 p1 l2 l3 p2 l4 p3 l1", "n1 E E n2 n3 E n4");
  Version(0x030b00f0);
  EXPECT_THAT(Stacks(), ElementsAre("n1 p1 p2 p3 n2 n3 p4 n4", ::testing::_));
  Version(0x030a00f0);
  EXPECT_THAT(Stacks(), ElementsAre(::testing::_, "n1 p1 p2 n2 n3 p3 n4"));
  EXPECT_EQ(Labels(), (std::vector<std::string>{"l1/l2/l3/l1/l2/l4", "l1/l2/l3/l4/l1"}));
}

TEST_F(Merged, TheInnermostFramesMayBePython) {
  Version(0x030c00f0);
  Allocate("E p1 p2", "n1 E");
  EXPECT_THAT(Stacks(), ElementsAre("n1 p1 p2"));
}

TEST_F(Merged, WithoutNativeFramesThePythonStackIsAll) {
  Version(0x030d00f0);
  Allocate("E p1 p2 E p3", "");
  EXPECT_THAT(Stacks(), ElementsAre("p1 p2 p3"));
}

TEST_F(Merged, WithoutPythonTheNativeStackIsAll) {
  Allocate("", "n1 n2 n3");
  EXPECT_THAT(Stacks(), ElementsAre("n1 n2 n3"));
}

// A native stack that was cut, or came out shorter: nothing of the Python stack is lost.
TEST_F(Merged, PythonFramesLeftOverAreOutermost) {
  Version(0x030c00f0);
  Allocate("E p1 p2 E p3 E p4", "E n2 E n3");
  EXPECT_THAT(Stacks(), ElementsAre("p1 p2 p3 n2 p4 n3"));
}

TEST_F(Merged, EvaluationsLeftOverAreDropped) {
  Version(0x030c00f0);
  Allocate("E p1", "n1 E n2 E n3 E n4");
  Allocate("", "n1 E n2");
  EXPECT_THAT(Stacks(), ElementsAre("n1 n2 n3 p1 n4", "n1 n2"));
}

// A Python stack that was cut ends within an evaluation.
TEST_F(Merged, AnEvaluationWithoutItsMarkIsTheOutermostOne) {
  Version(0x030c00f0);
  Allocate("p1 p2 E p3", "n1 E n2 E n3");
  EXPECT_THAT(Stacks(), ElementsAre("n1 p1 p2 n2 p3 n3"));
}

TEST_F(Merged, AnEvaluationMayHaveNoFrameYet) {
  Version(0x030c00f0);
  Allocate("E p1 E", "n1 E n2 E n3");
  EXPECT_THAT(Stacks(), ElementsAre("n1 p1 n2 n3"));
}

// Stacks that share what is outside share its nodes; those that only look alike do not.
TEST_F(Merged, StacksShareTheirOuterFrames) {
  Version(0x030c00f0);
  Allocate("E p1 E p2", "n1 E n2 E n3");
  Allocate("E p1 E p2", "n1 E n2 E n4");
  Allocate("E p5 E p2", "n1 E n2 E n3");
  EXPECT_THAT(Stacks(), ElementsAre("n1 p1 n2 p2 n3", "n1 p1 n2 p2 n4", "n1 p5 n2 p2 n3"));
}

TEST_F(Merged, WhatStartsAProgramIsLeftOut) {
  names_.named[{"/lib/x86_64-linux-gnu/libc.so.6", 2}] = "__libc_start_main_impl";
  names_.named[{"/app/program", 4}] = "main";
  names_.named[{"/app/program", 3}] = "_start";
  Allocate("", "x3 c2 c1 x4 n1");  // c1 has no name: libc without its symbols
  EXPECT_THAT(Stacks(), ElementsAre("main n1"));
}

TEST_F(Merged, WhatStartsAThreadIsLeftOut) {
  names_.named[{"/lib/x86_64-linux-gnu/libc.so.6", 1}] = "clone3";
  names_.named[{"/lib/x86_64-linux-gnu/libc.so.6", 2}] = "start_thread";
  Allocate("", "c1 c2 n1 n2");
  EXPECT_THAT(Stacks(), ElementsAre("n1 n2"));
}

// The program's own functions of such a name are not at the outer end.
TEST_F(Merged, OnlyTheOuterEndIsLeftOut) {
  names_.named[{"/app/program", 7}] = "clone";
  Allocate("", "n1 n2 n3 x7 n4");
  EXPECT_THAT(Stacks(), ElementsAre("n1 n2 n3 clone n4"));
}

TEST_F(Merged, WithTheInterpretersFramesNothingIsLeftOut) {
  Version(0x030c00f0);
  builder_.header().flags = kFlagNativeStacks | kFlagInterpreterFrames;
  names_.named[{"/lib/x86_64-linux-gnu/libc.so.6", 2}] = "__libc_start_main_impl";
  names_.named[{"/app/program", 5}] = "_PyEval_EvalFrameDefault";
  Allocate("E p1", "c2 x5 E n1");
  EXPECT_THAT(Stacks(), ElementsAre("__libc_start_main_impl _PyEval_EvalFrameDefault p1 n1"));
}

TEST_F(Merged, DamageIsAnError) {
  Allocate("", "n1 n2 n3");
  const uint32_t node = Node(true, "n1 n2");
  builder_.NativeNodeAt(node).parent = node;
  EXPECT_THAT(ErrorOf(), HasSubstr(absl::StrCat("damaged: stack ", node, " has frame")));
  builder_.NativeNodeAt(node).parent = 1;
  builder_.NativeNodeAt(node).frame = 999;
  EXPECT_THAT(ErrorOf(), HasSubstr("damaged: frame 999 is outside the file"));
  builder_.NativeNodeAt(node).frame = FrameOf("n2");
  EXPECT_EQ(ErrorOf(), "");
  const uint32_t site = builder_.SmallSite(0, 77, Domain::kMalloc, thread_);
  builder_.SmallCellAt(site, thread_).alloc = PackSmall(1, 1);
  EXPECT_THAT(ErrorOf(), HasSubstr("damaged: stack 77 is outside the file"));
}

// A region without the flag is read as ever: its callers are frames.
TEST_F(Merged, WithoutTheFlagTheCallerIsAFrame) {
  builder_.header().flags = 0;
  const uint32_t site =
      builder_.SmallSite(Node(false, "p1"), FrameOf("n9"), Domain::kMalloc, thread_);
  builder_.SmallCellAt(site, thread_).alloc = PackSmall(1, 1);
  absl::StatusOr<Profile> profile = Decode();
  ASSERT_TRUE(profile.ok()) << profile.status();
  ASSERT_EQ(profile->samples().size(), 1u);
  EXPECT_EQ(profile->frame(profile->samples()[0].caller).address, 9u);
}

TEST(MixedRegion, IsReadWhole) {
  RegionBuilder builder;
  testing::FillMixed(&builder);
  const std::string bytes = builder.Bytes();
  auto region = RegionFile::FromBytes(bytes.data(), bytes.size(), "mixed");
  ASSERT_TRUE(region.ok()) << region.status();
  absl::StatusOr<Profile> profile = DecodeRegion(**region);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(testing::WhatIsMalformed(*profile), "");
  size_t deepest = 0;
  for (const Sample& sample : profile->samples()) {
    deepest = std::max(deepest, profile->Stack(sample.node).size());
  }
  EXPECT_EQ(deepest, 1u + 20 * 3);
  EXPECT_EQ(profile->processes[0].flags & kFlagStacksTruncated, 0u);
}

}  // namespace
}  // namespace memtrace
