#include "tools/read/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tools/read/region_builder.h"
#include "tools/model/snapshot_file.h"
#include "tools/read/figures.h"
#include "tools/read/stack_decoder.h"

namespace memtrace {
namespace {

using ::testing::ElementsAre;
using testing::FillSample;
using ::testing::HasSubstr;
using testing::RegionBuilder;

absl::StatusOr<Profile> Decode(RegionBuilder& builder, const DecodeOptions& options = {}) {
  const std::string bytes = builder.Bytes();
  auto region = RegionFile::FromBytes(bytes.data(), bytes.size(), "test");
  if (!region.ok()) return region.status();
  return DecodeRegion(**region, options);
}

int64_t AllocationsOf(RegionBuilder& builder) {
  const std::string bytes = builder.Bytes();
  auto region = RegionFile::FromBytes(bytes.data(), bytes.size(), "test");
  return region.ok() ? CountAllocations(**region) : -1;
}

// The sample of a domain; there is one of each in these tests.
const Sample* Find(const Profile& profile, Domain domain) {
  for (const Sample& sample : profile.samples()) {
    if (sample.domain == domain) return &sample;
  }
  return nullptr;
}

std::string ErrorOf(RegionBuilder& builder) {
  absl::StatusOr<Profile> profile = Decode(builder);
  return profile.ok() ? "" : std::string(profile.status().message());
}

TEST(Decode, ReadsFiguresAndStacks) {
  RegionBuilder builder;
  FillSample(&builder);
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  ASSERT_EQ(profile->samples().size(), 2u);

  const Sample* objects = Find(*profile, Domain::kPythonObj);
  ASSERT_NE(objects, nullptr);
  EXPECT_EQ(objects->values, (Values{10, 10000, 6, 6000, 10, 10000, 1, 1000}));
  const std::vector<FrameId> stack = profile->Stack(objects->node);
  ASSERT_EQ(stack.size(), 2u);
  const Frame& inner = profile->frame(stack[0]);
  EXPECT_EQ(inner.line, 4);
  EXPECT_EQ(profile->string(profile->function(inner.function).name), "load");
  EXPECT_EQ(profile->string(profile->function(inner.function).filename), "/home/me/main.py");
  EXPECT_EQ(profile->function(inner.function).start_line, 3);
  EXPECT_EQ(profile->frame(stack[1]).line, 9);
}

// A site at each depth of a recursion: none may be deeper than the limit, and each keeps what is
// innermost.
TEST(Decode, VeryDeepStacksLoseTheirOuterFrames) {
  constexpr uint32_t kDepth = 2 * StackDecoder::kMaxDepth + 500;
  RegionBuilder builder;
  const uint32_t thread = builder.Thread(4711, "python");
  const uint32_t code = builder.Code("down", "/home/me/main.py", 1);
  uint32_t node = 0;
  for (uint32_t depth = 1; depth <= kDepth; depth++) {
    node = builder.Node(node, builder.PythonFrame(code, 1 + depth % 2));
    if (depth % 500 != 0) continue;
    Cell& cell = builder.CellAt(builder.Site(node, 0, Domain::kPythonObj, thread), thread);
    cell.alloc = {1, depth};
  }
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_NE(profile->processes[0].flags & kFlagStacksTruncated, 0u);
  EXPECT_EQ(profile->Totals().alloc_bytes, 500 * int64_t{kDepth / 500} * (kDepth / 500 + 1) / 2);
  for (const Sample& sample : profile->samples()) {
    const std::vector<FrameId> stack = profile->Stack(sample.node);
    const auto depth = static_cast<size_t>(sample.values.alloc_bytes);
    EXPECT_GE(stack.size(), std::min<size_t>(depth, StackDecoder::kMaxDepth / 2));
    EXPECT_LE(stack.size(), StackDecoder::kMaxDepth);
    EXPECT_EQ(profile->frame(stack[0]).line, 1);
  }
}

TEST(Decode, AddsUpTheCellsOfAllThreads) {
  RegionBuilder builder;
  FillSample(&builder);
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  const Sample* blocks = Find(*profile, Domain::kMalloc);
  ASSERT_NE(blocks, nullptr);
  EXPECT_EQ(blocks->values.alloc_bytes, 21);
  EXPECT_EQ(blocks->values.inuse_bytes, 0);  // freed by the other thread
  EXPECT_EQ(blocks->thread, 0);              // the one that allocated
  const Frame& caller = profile->frame(blocks->caller);
  EXPECT_EQ(caller.kind, FrameKind::kNative);
  EXPECT_EQ(caller.address, 0x1234u);
  EXPECT_EQ(profile->string(caller.module), "/no/such/libfoo.so");
}

TEST(Decode, DescribesTheProcess) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().lost[0].events = 5;
  builder.header().lost[0].bytes = 50;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  ASSERT_EQ(profile->processes.size(), 1u);
  const Process& process = profile->processes[0];
  EXPECT_EQ(process.pid, 4711);
  EXPECT_THAT(process.command, ElementsAre("python", "main.py"));
  EXPECT_EQ(process.python, "3.12.1");
  EXPECT_EQ(process.working_dir, "/home/me");
  EXPECT_EQ(process.end, EndKind::kExited);
  EXPECT_EQ(process.duration_ns, 2000000000);
  EXPECT_EQ(process.peak_bytes, 10000);
  EXPECT_EQ(process.peak_bound, 0);
  ASSERT_EQ(process.threads.size(), 2u);
  EXPECT_EQ(process.threads[1].name, "worker");
  ASSERT_EQ(process.losses.size(), 1u);
  EXPECT_EQ(process.losses[0].reason, "region_full");
  EXPECT_EQ(process.losses[0].events, 5u);
  ASSERT_EQ(process.timeline.size(), 2u);
  EXPECT_EQ(process.timeline[1].live_bytes_max, 10000);
  EXPECT_EQ(process.peak_elapsed_ns, 1000000);
  ASSERT_EQ(process.modules.size(), 1u);
  EXPECT_EQ(process.modules[0].build_id, "abcd");
}

TEST(Decode, PeakIsWhatIsLiveWhileTheTotalClimbs) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().owner_total = 10001;  // above the peak declared last
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(Find(*profile, Domain::kPythonObj)->values.peak_bytes, 6000);
}

TEST(Decode, PeakOfAnUntouchedCellIsWhatIsLive) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().peak_epoch = 3;  // the cells' saved figures are of an older peak
  builder.header().peak = 6000;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(Find(*profile, Domain::kPythonObj)->values.peak_bytes, 6000);
  EXPECT_EQ(profile->processes[0].peak_bound, 0);
}

TEST(Decode, SaysHowFarThePeakOfManyThreadsMayBeOff) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().flags = kFlagThreaded;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->processes[0].peak_bound, 2 * kFlushBytes);
}

TEST(Decode, AnExactPeakHasNoBoundHoweverManyThreads) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().flags = kFlagThreaded | kFlagExactPeak;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->processes[0].peak_bound, 0);
}

TEST(Decode, ThePeakIsNeverBelowWhatIsLive) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().flags = kFlagThreaded;
  builder.header().peak = 5000;         // declared before the threads' latest allocations
  builder.header().owner_total = 4000;  // which they have not added to the total yet
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  const int64_t live = profile->Totals().inuse_bytes;
  ASSERT_GT(live, 5000) << "the test is about this";
  EXPECT_EQ(profile->Totals().peak_bytes, live);
  EXPECT_EQ(profile->processes[0].peak_bytes, live);
}

TEST(Decode, LiveFiguresAreNeverNegative) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.CellAt(kFirstBusySite, 1).free.bytes = 20000;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(Find(*profile, Domain::kPythonObj)->values.inuse_bytes, 0);
}

TEST(Decode, KeepsInheritedBlocksApart) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.ThreadAt(0).state = static_cast<uint32_t>(ThreadState::kInherited);
  const uint32_t node = builder.Node(0, builder.PythonFrame(builder.Code("f", "/p.py", 1), 2));
  const uint32_t site = builder.Site(node, 0, Domain::kPythonMem, 1);
  builder.header().inherited_sites = site + 1;
  Cell& inherited = builder.CellAt(site, 0);
  inherited.alloc.objects = 10;
  inherited.alloc.bytes = 500;
  Cell& freed = builder.CellAt(site, 1);
  freed.free.objects = 4;
  freed.free.bytes = 200;
  builder.header().peak = 10500;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(Find(*profile, Domain::kPythonMem), nullptr);
  EXPECT_EQ(profile->processes[0].inherited_bytes, 300);
  EXPECT_EQ(profile->Totals().alloc_bytes, 10021);
}

TEST(Decode, AddressSpaceIsInNoTotal) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.ThreadAt(0).state = static_cast<uint32_t>(ThreadState::kInherited);
  const absl::StatusOr<Profile> without = Decode(builder);
  const int64_t allocations = AllocationsOf(builder);
  const uint32_t site = builder.Site(0, 0, Domain::kMmap, 1);
  builder.CellAt(site, 1).alloc = {3, 3 << 20};
  builder.CellAt(site, 1).free = {1, 1 << 20};
  builder.CellAt(site, 0).alloc = {1, 4096};  // inherited
  const absl::StatusOr<Profile> with = Decode(builder);
  ASSERT_TRUE(with.ok()) << with.status();
  const Process &before = without->processes[0], &after = with->processes[0];
  EXPECT_EQ(after.peak_bytes, before.peak_bytes);
  EXPECT_EQ(after.peak_bound, before.peak_bound);
  EXPECT_EQ(after.inherited_bytes, before.inherited_bytes);
  EXPECT_EQ(with->MemoryTotals(), without->MemoryTotals());
  EXPECT_EQ(Find(*with, Domain::kMmap)->values.inuse_bytes, 2 << 20);
  EXPECT_EQ(AllocationsOf(builder), allocations);
}

TEST(Decode, KilledBetweenTwoStoresIsReadable) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().end = static_cast<uint32_t>(ProcessEnd::kRunning);
  DecodeOptions options;
  options.end = EndKind::kDied;
  absl::StatusOr<Profile> profile = Decode(builder, options);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->processes[0].end, EndKind::kDied);
  EXPECT_EQ(profile->processes[0].duration_ns, 1000000);  // the last sign of life
}

TEST(Decode, SkipsReservationsThatNobodyFilled) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.SiteAt(kFirstBusySite).word = 0;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(Find(*profile, Domain::kPythonObj), nullptr);
}

TEST(Decode, TextsBecomeValidUtf8) {
  RegionBuilder builder;
  FillSample(&builder);
  builder.header().working_dir = builder.String("/a\xff\xed\xa0\x80 \xc3\xa9");
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->processes[0].working_dir, "/a\\xff\\xed\\xa0\\x80 \xc3\xa9");
}

TEST(Decode, ManyRecordsReachOverExtents) {
  RegionBuilder builder;
  const uint32_t slot = builder.Thread(1, "t");
  const uint32_t code = builder.Code("f", "/f.py", 1);
  uint32_t node = 0;
  for (uint32_t line = 1; line <= 3000; ++line) {
    node = builder.Node(node, builder.PythonFrame(code, line));
    const uint32_t site = builder.Site(node, 0, Domain::kMalloc, slot);
    builder.CellAt(site, slot).alloc.bytes = line;
    builder.CellAt(site, slot).alloc.objects = 1;
  }
  builder.header().owner_total = 3000 * 3001 / 2;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->Totals().alloc_bytes, 3000 * 3001 / 2);
  EXPECT_EQ(profile->samples().size(), 3000u);
  EXPECT_EQ(profile->Stack(node == 0 ? 0 : profile->samples().back().node).size(), 3000u);
}

TEST(Decode, SmallCellsCountAsFullOnes) {
  RegionBuilder builder;
  const uint32_t one = builder.Thread(1, "one");
  const uint32_t two = builder.Thread(2, "two");
  const uint32_t node = builder.Node(0, builder.PythonFrame(builder.Code("f", "/f.py", 1), 1));
  const uint32_t site = builder.SmallSite(node, 0, Domain::kPythonObj, one);
  builder.header().peak = 3000;
  builder.header().owner_total = 500;
  builder.header().peak_epoch = 9;
  builder.SmallCellAt(site, one) = {PackSmall(127, 8388607), PackSmall(3, 300), PackSmall(2, 200),
                                    PackSmall(40, 3500)};
  builder.SmallEpochAt(site, one) = 9;
  builder.SmallCellAt(site, two) = {0, PackSmall(120, 8387607), 0, PackSmall(-5, -500)};
  builder.SmallEpochAt(site, two) = 9;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  const Values values = Find(*profile, Domain::kPythonObj)->values;
  EXPECT_EQ(values.alloc_objects, 127);
  EXPECT_EQ(values.alloc_bytes, 8388607);
  EXPECT_EQ(values.inuse_objects, 127 - 3 - 120);
  EXPECT_EQ(values.inuse_bytes, 8388607 - 300 - 8387607);
  EXPECT_EQ(values.temporary_objects, 2);
  EXPECT_EQ(values.temporary_bytes, 200);
  EXPECT_EQ(values.peak_objects, 35);
  EXPECT_EQ(values.peak_bytes, 3000);
}

TEST(Decode, ASmallAndABusySiteOfOnePlaceAddUp) {
  RegionBuilder builder;
  const uint32_t slot = builder.Thread(1, "one");
  const uint32_t node = builder.Node(0, builder.PythonFrame(builder.Code("f", "/f.py", 1), 1));
  const uint32_t small = builder.SmallSite(node, 0, Domain::kPythonObj, slot);
  const uint32_t busy = builder.Site(node, 0, Domain::kPythonObj, slot);
  builder.SmallCellAt(small, slot).alloc = PackSmall(127, 1270);
  builder.CellAt(busy, slot).alloc = {1000, 10000};
  builder.header().owner_total = 11270;
  absl::StatusOr<Profile> profile = Decode(builder);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->samples().size(), 1u);
  EXPECT_EQ(profile->Totals().alloc_objects, 1127);
  EXPECT_EQ(profile->Totals().alloc_bytes, 11270);
}

TEST(DecodeDamage, NamesWhatIsWrong) {
  {
    RegionBuilder b;
    FillSample(&b);
    b.NodeAt(2).parent = 2;
    EXPECT_THAT(ErrorOf(b), HasSubstr("test: damaged: stack 2 has frame 2 and parent 2"));
  }
  {
    RegionBuilder b;
    FillSample(&b);
    b.SiteAt(kFirstBusySite) = SiteRecord::Of(12345, 0, Domain::kPythonObj, 1);
    EXPECT_THAT(ErrorOf(b), HasSubstr("stack 12345 is outside the file"));
  }
  {
    RegionBuilder b;
    FillSample(&b);
    b.SiteAt(kFirstBusySite) = SiteRecord::Of(1, 0, static_cast<Domain>(7), 1);
    EXPECT_THAT(ErrorOf(b), HasSubstr("unknown domain 7"));
  }
  {
    RegionBuilder b;
    FillSample(&b);
    b.SiteAt(kFirstBusySite) = SiteRecord::Of(1, 0, Domain::kPythonObj, 999);
    EXPECT_THAT(ErrorOf(b), HasSubstr("thread slot 999"));
  }
  {
    RegionBuilder b;
    FillSample(&b);
    b.CellAt(kFirstBusySite, 1).alloc.bytes = ~uint64_t{0};
    EXPECT_THAT(ErrorOf(b), HasSubstr("larger than any process"));
  }
  {
    RegionBuilder b;
    FillSample(&b);
    b.header().command = 0x7fffffff;
    EXPECT_THAT(ErrorOf(b), HasSubstr("is outside the file"));
  }
}

// Whatever a region may say, a snapshot file of it can be read.
TEST(Decode, LargestFiguresFitASnapshotFile) {
  constexpr int64_t kLargest = (int64_t{1} << 59) - 1;
  RegionBuilder b;
  FillSample(&b);
  b.CellAt(kFirstBusySite + 1, 1) = {};
  b.CellAt(kFirstBusySite + 1, 2) = {};
  b.CellAt(kFirstBusySite, 1) = {
      {kLargest, kLargest}, {0, 0}, {0, 0}, {kLargest - INT32_MAX, INT32_MAX, 2}};
  b.CellAt(kFirstBusySite, 2).alloc = {0, 0};
  b.header().peak = kLargest;
  absl::StatusOr<Profile> profile = Decode(b);
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(profile->Totals().alloc_bytes, kLargest);
  EXPECT_EQ(profile->processes[0].peak_bytes, kLargest);
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(*SnapshotBytes(*profile));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->Totals(), profile->Totals());
  EXPECT_EQ(read->processes[0].peak_bytes, kLargest);
  ++b.CellAt(kFirstBusySite, 1).alloc.bytes;
  EXPECT_THAT(ErrorOf(b), HasSubstr("larger than any process"));
}

TEST(Decode, VersionTexts) {
  EXPECT_EQ(PythonVersionText(0), "");
  EXPECT_EQ(PythonVersionText(0x030800f0), "3.8.0");
  EXPECT_EQ(PythonVersionText(0x030e00b2), "3.14.0b2");
  EXPECT_EQ(PythonVersionText(0x030d00c1), "3.13.0rc1");
}

}  // namespace
}  // namespace memtrace
