// Regions that say as much as they can in few bytes, by naming the same bytes over and over: heap
// and time stay in proportion to what the file takes up.

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tests/unit/tools/hostile/limits.h"
#include "tests/unit/tools/read/region_builder.h"
#include "tools/read/decode.h"
#include "tools/read/region_file.h"

namespace memtrace {
namespace {

using testing::RegionBuilder;

constexpr int64_t kMegabyte = 1'000'000;

struct Decoded {
  absl::Status status;
  int64_t heap = 0;
  int64_t file = 0;
};

Decoded Decode(RegionBuilder* builder) {
  const std::string bytes = builder->Bytes();
  const testing::Deadline deadline(60);
  const testing::HeapMeter meter;
  auto region = RegionFile::FromBytes(bytes.data(), bytes.size(), "bomb");
  if (!region.ok()) return {region.status()};
  const absl::StatusOr<Profile> profile = DecodeRegion(**region);
  return {profile.status(), meter.Peak(), static_cast<int64_t>(bytes.size())};
}

void ExpectInProportion(const Decoded& decoded) {
  EXPECT_LE(decoded.heap, testing::kAllowedHeap + 4 * decoded.file)
      << decoded.file << " bytes: " << decoded.status;
}

class RegionBomb : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::HeapIsMetered()) GTEST_SKIP() << "the sanitizer has a heap of its own";
    main_ = builder_.Thread(1, "main");
  }
  void Allocate(uint32_t node) {
    builder_.SmallCellAt(builder_.SmallSite(node, 0, Domain::kPythonObj, main_), main_).alloc =
        PackSmall(1, 100);
  }
  // A code whose texts are at these places.
  void AddCode(uint32_t name, uint32_t filename) {
    const uint32_t code = builder_.Code("", "x", 1);
    CodeRecord& record = builder_.CodeAt(code);
    record.name = name;
    record.filename = filename;
    Allocate(builder_.Node(0, builder_.PythonFrame(code, 1)));
  }

  RegionBuilder builder_;
  uint32_t main_ = 0;
};

// A text whose content is the beginnings of other texts, each of which reaches to the end.
TEST_F(RegionBomb, TextsThatLieOverOneAnother) {
  constexpr uint32_t kBytes = 1 << 18;
  std::string records(kBytes, '\0');
  for (uint32_t at = 0; at + 8 <= kBytes; at += 8) {
    const StringRecord record = {kBytes - at - 8, 0};
    std::memcpy(&records[at], &record, sizeof(record));
  }
  const uint32_t first = builder_.String(records) + 1;
  for (uint32_t i = 0; i < 2000; ++i) AddCode(first + i, first + i);
  const Decoded decoded = Decode(&builder_);
  EXPECT_EQ(decoded.status.code(), absl::StatusCode::kDataLoss);
  ExpectInProportion(decoded);
}

TEST_F(RegionBomb, ModulesOfOneLongPath) {
  const std::string path(200'000, 'x');
  const uint32_t first = builder_.Module(path);
  for (int i = 0; i < 4000; ++i) {
    builder_.ModuleAt(builder_.Module("")).path = builder_.ModuleAt(first).path;
  }
  const Decoded decoded = Decode(&builder_);
  EXPECT_EQ(decoded.status.code(), absl::StatusCode::kDataLoss);
  ExpectInProportion(decoded);
}

TEST_F(RegionBomb, ArgumentsOfNothing) {
  builder_.header().command = builder_.String(std::string(3 * kMegabyte, '\0'));
  ExpectInProportion(Decode(&builder_));
}

// As many places as there is room for, each with a frame and a stack of its own.
TEST_F(RegionBomb, PlacesWithoutEnd) {
  const uint32_t code = builder_.Code("f", "a.py", 1);
  for (uint32_t line = 1; line <= 60'000; ++line) {
    Allocate(builder_.Node(0, builder_.PythonFrame(code, line)));
  }
  const Decoded decoded = Decode(&builder_);
  EXPECT_TRUE(decoded.status.ok()) << decoded.status;
  ExpectInProportion(decoded);
}

// Two deep stacks, Python's and native, put together in as many ways as there are pairs: each way
// is a stack that shares little with the others.
TEST_F(RegionBomb, StacksThatMeetAnywhere) {
  constexpr uint32_t kDeep = 4000;
  constexpr uint32_t kStacks = 20'000;
  builder_.header().flags = kFlagNativeStacks;
  const uint32_t evaluation = builder_.EvaluationFrame();
  const uint32_t code = builder_.Code("f", "a.py", 1);
  const uint32_t module = builder_.Module("/no/such/module");
  uint32_t python = 0, native = 0;
  for (uint32_t i = 0; i < kDeep; ++i) {
    python = builder_.Node(python, builder_.PythonFrame(code, 1 + i % 7));
    native = builder_.NativeNode(native, builder_.NativeFrame(module, i % 5));
    native = builder_.NativeNode(native, evaluation);
  }
  for (uint32_t i = 0; i < kStacks; ++i) {
    const uint32_t site = builder_.SmallSite(1 + i * 7919 % kDeep, 1 + i * 104729 % (2 * kDeep),
                                             Domain::kMalloc, main_);
    builder_.SmallCellAt(site, main_).alloc = PackSmall(1, 100);
  }
  const Decoded decoded = Decode(&builder_);
  EXPECT_TRUE(decoded.status.ok()) << decoded.status;
  ExpectInProportion(decoded);
}

}  // namespace
}  // namespace memtrace
