#include "tools/read/name_frames.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <climits>

#include "tools/read/elf_file.h"

namespace memtrace {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

__attribute__((always_inline)) inline void* Here() {
  void* address;
  asm volatile("lea 0(%%rip), %0" : "=r"(address));
  return address;
}
__attribute__((noinline)) void* KnownPlace() { return Here(); }

// A profile of one native stack in this program: an unknown caller calls KnownPlace.
class NameFramesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Dl_info info = {};
    dladdr(reinterpret_cast<void*>(&KnownPlace), &info);
    char path[PATH_MAX];
    path_ = std::string(path, static_cast<size_t>(readlink("/proc/self/exe", path, sizeof path)));
    address_ =
        reinterpret_cast<uint64_t>(KnownPlace()) - reinterpret_cast<uint64_t>(info.dli_fbase);
    Process process;
    process.modules.resize(1);
    process.modules[0].path = path_;
    process.modules[0].build_id = ElfFile(path_).BuildId();
    ASSERT_NE(process.modules[0].build_id, "");
    profile_.processes.push_back(process);
    const NodeId caller = profile_.InternNode(0, AddFrame("", 0, 0xfffffff0));
    Sample sample;
    sample.caller = AddFrame("", 0, address_);
    sample.node = profile_.InternNode(caller, sample.caller);
    sample.domain = Domain::kMalloc;
    sample.values.inuse_objects = 3;
    sample.values.inuse_bytes = 99;
    profile_.AddSample(sample);
  }

  FrameId AddFrame(const std::string& function, int64_t line, uint64_t address) {
    memtrace::Frame frame;
    frame.kind = FrameKind::kNative;
    frame.module = profile_.InternString(path_);
    frame.function = profile_.InternFunction({profile_.InternString(function), frame.module, 0});
    frame.line = line;
    frame.address = address;
    return profile_.InternFrame(frame);
  }

  static std::string NameOf(const Profile& profile, FrameId frame) {
    return profile.string(profile.function(profile.frame(frame).function).name);
  }

  Profile Named(bool lines = false) {
    SymbolSources sources;
    sources.trust_paths = false;
    return NameFrames(profile_, MakeSymbolizer(sources).get(), lines);
  }

  std::string path_;
  uint64_t address_ = 0;
  Profile profile_;
};

TEST_F(NameFramesTest, InlinedCallsBecomeFrames) {
  const Profile named = Named();
  ASSERT_EQ(named.samples().size(), 1u);
  EXPECT_EQ(named.Totals(), profile_.Totals());
  const std::vector<FrameId> stack = named.Stack(named.samples()[0].node);
  ASSERT_EQ(stack.size(), 3u);
  EXPECT_THAT(NameOf(named, stack[0]), HasSubstr("Here"));
  EXPECT_THAT(NameOf(named, stack[1]), HasSubstr("KnownPlace()"));
  EXPECT_EQ(NameOf(named, stack[2]), "");
  EXPECT_EQ(named.frame(stack[2]).address, 0xfffffff0);
  EXPECT_EQ(named.samples()[0].caller, stack[1]);
  for (int i : {0, 1}) {
    EXPECT_EQ(named.frame(stack[i]).address, address_);
    EXPECT_GT(named.frame(stack[i]).line, 0);
    const Function& function = named.function(named.frame(stack[i]).function);
    EXPECT_THAT(named.string(function.filename), EndsWith("name_frames_test.cc"));
  }
  EXPECT_EQ(named.processes.size(), 1u);
}

TEST_F(NameFramesTest, AModuleOfTwoBuildsHasNoNames) {
  profile_.processes.push_back(profile_.processes[0]);
  profile_.processes[1].modules[0].build_id = "00112233";
  EXPECT_EQ(Named().frames().size(), profile_.frames().size());
  EXPECT_EQ(NameOf(Named(), Named().samples()[0].caller), "");
}

TEST_F(NameFramesTest, WithoutABuildIdNothingIsTrusted) {
  profile_.processes[0].modules[0].build_id = "";
  EXPECT_EQ(NameOf(Named(), Named().samples()[0].caller), "");
  profile_.processes[0].modules[0].build_id = "../../etc";
  EXPECT_EQ(NameOf(Named(), Named().samples()[0].caller), "");
}

TEST_F(NameFramesTest, WhatHasANameKeepsItUnlessLinesAreWanted) {
  Profile bare;
  std::swap(bare, profile_);
  profile_.processes = bare.processes;
  Sample sample;
  sample.node = profile_.InternNode(0, AddFrame("as it was", 0, address_));
  profile_.AddSample(sample);
  const auto innermost = [](const Profile& named) {
    return NameOf(named, named.node(named.samples()[0].node).frame);
  };
  EXPECT_EQ(innermost(Named()), "as it was");
  EXPECT_THAT(innermost(Named(/*lines=*/true)), HasSubstr("Here"));
}

TEST_F(NameFramesTest, APlaceWithInlinedCallsIsNotLookedUpAgain) {
  AddFrame("inlined", 7, address_);
  const Profile named = Named(/*lines=*/true);
  EXPECT_EQ(NameOf(named, named.samples()[0].caller), "");
}

}  // namespace
}  // namespace memtrace
