#include "tools/read/label_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/tools/read/region_builder.h"
#include "tests/unit/tools/read/well_formed.h"
#include "tools/read/decode.h"

namespace memtrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A region of one thread in which each node that is asked for has a block.
class Labels : public ::testing::Test {
 protected:
  void SetUp() override {
    thread_ = builder_.Thread(1, "main");
    frame_ = builder_.PythonFrame(builder_.Code("f", "main.py", 1), 2);
  }
  uint32_t Frame(uint32_t parent) { return builder_.Node(parent, frame_); }
  uint32_t Label(uint32_t parent, const std::string& name) {
    return builder_.Node(parent, builder_.LabelFrame(name));
  }
  void Allocate(uint32_t node) {
    const uint32_t site = builder_.SmallSite(node, 0, Domain::kPythonObj, thread_);
    builder_.SmallCellAt(site, thread_).alloc = PackSmall(1, 100);
  }
  absl::StatusOr<Profile> Decode() {
    bytes_ = builder_.Bytes();
    auto region = RegionFile::FromBytes(bytes_.data(), bytes_.size(), "test");
    if (!region.ok()) return region.status();
    return DecodeRegion(**region, DecodeOptions());
  }
  // Of all samples: depth of the stack, and label.
  std::vector<std::string> Found() {
    absl::StatusOr<Profile> profile = Decode();
    EXPECT_TRUE(profile.ok()) << profile.status();
    std::vector<std::string> found;
    if (!profile.ok()) return found;
    EXPECT_EQ(testing::WhatIsMalformed(*profile), "");
    for (const Sample& s : profile->samples()) {
      found.push_back(absl::StrCat(profile->Stack(s.node).size(), " ", profile->string(s.label)));
    }
    return found;
  }

  testing::RegionBuilder builder_;
  std::string bytes_;
  uint32_t thread_ = 0, frame_ = 0;
};

TEST_F(Labels, AreTheirStacksFromOutsideInwards) {
  const uint32_t outer = Frame(Label(Frame(0), "outer"));
  Allocate(Frame(0));
  Allocate(outer);
  Allocate(Frame(Label(outer, "inner")));
  Allocate(Label(outer, "inner"));
  EXPECT_THAT(Found(), ElementsAre("1 ", "2 outer", "3 outer/inner", "2 outer/inner"));
}

TEST_F(Labels, DirectlyInsideTheSameOneAreNotRepeated) {
  uint32_t node = 0;
  for (int i = 0; i < 50; ++i) node = Frame(Label(node, "down"));
  Allocate(node);
  Allocate(Frame(Label(Label(node, "other"), "down")));
  EXPECT_THAT(Found(), ElementsAre("50 down", "51 down/other/down"));
}

TEST_F(Labels, TooDeepBelongToThoseOutside) {
  uint32_t node = 0;
  for (uint32_t i = 0; i < LabelReader::kMostNested + 5; ++i) node = Label(node, absl::StrCat(i));
  Allocate(Frame(node));
  EXPECT_THAT(Found(), ElementsAre("1 0/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15"));
}

// A small file names long texts in long chains: what they make is bounded.
TEST_F(Labels, AllTogetherAreBounded) {
  std::vector<uint32_t> labels;
  for (int i = 0; i < 20; ++i) {
    labels.push_back(builder_.LabelFrame(absl::StrCat(i, std::string(2000, 'x'))));
  }
  for (uint32_t a : labels) {
    for (uint32_t b : labels) {
      for (uint32_t c : labels) Allocate(builder_.Node(builder_.Node(builder_.Node(0, a), b), c));
    }
  }
  absl::StatusOr<Profile> profile = Decode();
  ASSERT_TRUE(profile.ok()) << profile.status();
  size_t bytes = 0;
  for (const std::string& text : profile->strings()) bytes += text.size();
  EXPECT_LT(bytes, LabelReader::kMostText + 100'000);
  EXPECT_GT(bytes, LabelReader::kMostText / 2) << "the test makes less than the bound";
}

TEST_F(Labels, WithoutTheirNamesAreAnError) {
  const uint32_t node = Label(0, "there");
  Allocate(node);
  EXPECT_THAT(Found(), ElementsAre("0 there"));
  builder_.FrameAt(builder_.NodeAt(node).frame).kind_owner =
      PackKindOwner(FrameKind::kLabel, 0x0ffffff);
  EXPECT_THAT(std::string(Decode().status().message()), HasSubstr("damaged"));
}

}  // namespace
}  // namespace memtrace
