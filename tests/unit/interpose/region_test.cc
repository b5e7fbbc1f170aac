#include "interpose/region.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "tests/events.h"
#include "tests/unit/interpose/support.h"

namespace memtrace::testing {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A limit of file size for as long as it lives; regions are made no larger than that.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

class RegionTest : public ::testing::Test {
 protected:
  void SetUp() override { setenv("MEMTRACE_DIR", folder_.path().c_str(), 1); }
  void TearDown() override { unsetenv("MEMTRACE_DIR"); }

  TemporaryFolder folder_;
};

struct Range {
  const char* begin;
  const char* end;
};

void ExpectApart(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < ranges.size(); i++) {
    ASSERT_LE(ranges[i - 1].end, ranges[i].begin) << "two reservations share memory";
  }
}

constexpr SectionId kRecords[] = {kCodes,   kFrames,  kNodes, kSites,     kBusySites,
                                  kThreads, kModules, kCells, kSmallCells};

TEST_F(RegionTest, ReservationsOfAllSectionsLieApartOverManyExtents) {
  FileSizeLimit limit(256 * kMiB);
  Region region;
  ASSERT_TRUE(region.Create());
  EXPECT_EQ(region.header()->flags.load() & kFlagPrivate, 0u);
  std::mt19937_64 random(1);
  std::vector<Range> ranges;
  for (int i = 0; i < 20000; i++) {
    const uint64_t choice = random() % (std::size(kRecords) + 1);
    if (choice < std::size(kRecords)) {
      const SectionId id = kRecords[choice];
      if ((id == kCells || id == kSmallCells) && i % 50 != 0) continue;  // a page each
      const uint64_t at = region.Reserve(id, 1);
      ASSERT_NE(at, Region::kNone);
      char* p = region.Byte(id, at * RecordBytes(id));
      memset(p, i & 127, RecordBytes(id));
      ranges.push_back({p, p + RecordBytes(id)});
    } else {
      const uint64_t bytes = i % 1000 == 0 ? 100000 + random() % 400000 : 1 + random() % 300;
      const uint64_t at = region.ReserveBytes(bytes);
      ASSERT_NE(at, Region::kNone);
      EXPECT_EQ(at % 8, 0u);
      EXPECT_EQ(LocateByte(at).extent, LocateByte(at + bytes - 1).extent);
      char* p = region.Byte(kStrings, at);
      memset(p, i & 127, bytes);
      ranges.push_back({p, p + bytes});
    }
  }
  ExpectApart(ranges);
  for (const Range& range : ranges) {  // nobody wrote into anybody else's
    ASSERT_EQ(range.begin[0], range.end[-1]);
  }
  EXPECT_GE(LocateByte(region.header()->sections[kStrings].used.load()).extent, 8);
  EXPECT_LE(region.header()->next_offset.load(), region.header()->file_bytes);
}

TEST_F(RegionTest, SeveralThreadsReserveApart) {
  FileSizeLimit limit(256 * kMiB);
  Region region;
  ASSERT_TRUE(region.Create());
  constexpr int kThreads = 4;
  std::vector<std::vector<Range>> ranges(kThreads);
  std::vector<std::thread> threads;
  for (int n = 0; n < kThreads; n++) {
    threads.emplace_back([&, n] {
      std::mt19937_64 random(static_cast<uint64_t>(n));
      for (int i = 0; i < 5000; i++) {
        const bool text = random() % 2 == 0;
        const uint64_t bytes = text ? 8 + random() % 2000 : sizeof(NodeRecord);
        const uint64_t at = text ? region.ReserveBytes(bytes) : region.Reserve(kNodes, 1);
        if (at == Region::kNone) break;
        char* p = text ? region.Byte(kStrings, at) : region.Byte(kNodes, at * bytes);
        memset(p, n + 1, bytes);
        ranges[n].push_back({p, p + bytes});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<Range> all;
  for (int n = 0; n < kThreads; n++) {
    EXPECT_EQ(ranges[n].size(), 5000u);
    for (const Range& range : ranges[n]) {
      for (const char* p = range.begin; p < range.end; p++) ASSERT_EQ(*p, n + 1);
      all.push_back(range);
    }
  }
  ExpectApart(all);
}

// What is too large is refused, and refusing it takes nothing away from what is not.
TEST_F(RegionTest, AFullRegionRefusesAndStaysUsable) {
  FileSizeLimit limit(2 * kMiB);
  Region region;
  ASSERT_TRUE(region.Create());
  ASSERT_EQ(region.header()->file_bytes, 2 * kMiB);
  uint64_t pages = 0;
  while (region.Reserve(kCells, 1) != Region::kNone) pages++;
  // Extents double, so at least a quarter of the file is in use when the next does not fit.
  EXPECT_GE(pages * sizeof(CellPage), kMiB / 2);
  for (int i = 0; i < 100000; i++) ASSERT_EQ(region.Reserve(kCells, 1), Region::kNone);
  EXPECT_EQ(region.ReserveBytes(4 * kMiB), Region::kNone);
  EXPECT_EQ(region.ReserveBytes(uint64_t{1} << 40), Region::kNone);
  EXPECT_EQ(region.header()->sections[kCells].used.load(), pages);
  EXPECT_LE(region.header()->next_offset.load(), region.header()->file_bytes);
  uint64_t strings = 0;
  for (uint64_t at; (at = region.ReserveBytes(1000)) != Region::kNone; strings++) {
    memset(region.Byte(kStrings, at), 'x', 1000);
  }
  EXPECT_GE(strings, 60u) << "cells that did not fit left no room for strings that do";
  EXPECT_LE(region.header()->next_offset.load(), region.header()->file_bytes);
}

TEST_F(RegionTest, ALimitTooSmallForAnyRegionGivesAPrivateOne) {
  FileSizeLimit limit(64 * 1024);
  Region region;
  const bool created = region.Create();
  if (!created) {
    EXPECT_FALSE(region.exists());
    return;
  }
  EXPECT_NE(region.header()->flags.load() & kFlagPrivate, 0u);
  EXPECT_STREQ(region.path(), "");
}

// -------------------------------------------------------------------------------------------------
// The whole recorder where there is no room. Every call is recorded or lost, none kills the
// program.

void ExpectEveryCallRecordedOrLost(bool must_lose) {
  ASSERT_TRUE(g_region.exists());
  constexpr int64_t kCalls = 300000, kStacks = 60000;
  MadeUpHeap heap;
  std::vector<void*> blocks;
  int64_t bytes = 0;
  for (int64_t i = 0; i < kCalls; i++) {
    // So many stacks that their sites and cells do not fit where there is little room.
    void* p = heap.Take(0);
    Thread* t = Enter();
    ASSERT_NE(t, nullptr);
    RecordAlloc(t, p, static_cast<uint64_t>(100 + i % 7),
                FindSite(t, 1 + static_cast<uint32_t>(i % kStacks), Domain::kMalloc, 0x10000));
    Leave(t);
    bytes += 100 + i % 7;
    blocks.push_back(p);
  }
  int64_t recorded = 0, recorded_bytes = 0;
  for (const auto& [place, f] : RegionFigures()) {
    recorded += f.alloc_objects;
    recorded_bytes += f.alloc_bytes;
  }
  EXPECT_EQ(recorded + static_cast<int64_t>(Lost()), kCalls);
  EXPECT_EQ(recorded_bytes + static_cast<int64_t>(LostBytes()), bytes);
  EXPECT_GT(recorded, 0);
  if (must_lose) {
    EXPECT_GT(Lost(), 0u);
  } else {
    EXPECT_EQ(Lost(), 0u);
  }
  EXPECT_EQ(RegionTotal(), recorded_bytes);
  for (void* p : blocks) RecordedFree(p);  // what was lost is not known, and so not freed
  EXPECT_EQ(RegionTotal(), 0);
  for (const auto& [place, f] : RegionFigures()) ASSERT_EQ(f.live_objects(), 0);
}

TEST(FullRegion, AFileSizeLimitLosesAndDoesNotKill) {
  MEMTRACE_ISOLATED([] {
    const rlimit limit{2 * kMiB, 2 * kMiB};
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
  });
  ExpectEveryCallRecordedOrLost(true);
}

// A frame that finds no room costs the event its place, not the event; and it shows.
TEST(FullRegion, FramesThatDoNotFitLeaveTheEventsWhole) {
  MEMTRACE_ISOLATED([] {
    const rlimit limit{2 * kMiB, 2 * kMiB};
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
  });
  constexpr int64_t kCalls = 200000;
  MadeUpHeap heap;
  for (int64_t i = 0; i < kCalls; i++) {
    void* p = heap.Take(0);
    RecordedAlloc(10, Domain::kMalloc, 0x10000 + static_cast<uintptr_t>(i) * 4, [=] { return p; });
  }
  EXPECT_EQ(RegionTotal() + static_cast<int64_t>(LostBytes()), 10 * kCalls);
  EXPECT_NE(g_region.header()->flags.load() & kFlagStacksTruncated, 0u);
}

TEST(FullRegion, ATinyFileSizeLimitDoesNotKill) {
  MEMTRACE_ISOLATED([] {
    const rlimit limit{8192, 8192};
    return setrlimit(RLIMIT_FSIZE, &limit) == 0 && setenv("MEMTRACE_QUIET", "1", 1) == 0;
  });
  EXPECT_STREQ(g_region.path(), "");
}

TEST(FullRegion, AnAddressSpaceLimitLosesNothing) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer cannot live with a limit of address space";
  MEMTRACE_ISOLATED([] {
    const rlimit limit{uint64_t{6} << 30, uint64_t{6} << 30};
    return setrlimit(RLIMIT_AS, &limit) == 0;
  });
  ExpectEveryCallRecordedOrLost(false);
}

// A mount namespace of the process's own, whose mounts nobody else sees. Below chroot "/" need not
// be a mount, but what holds the folder is.
bool OwnMounts() {
  if (unshare(CLONE_NEWNS) != 0) return false;
  for (const char* mounted : {"/", "/dev/shm", "/dev"}) {
    if (mount("none", mounted, nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return true;
  }
  return false;
}

// A file system of one MiB.
bool MountTinyTmpfs() {
  return OwnMounts() &&
         mount("tmpfs", getenv("MEMTRACE_DIR"), "tmpfs", 0, "size=1m,mode=0700") == 0;
}

bool MayMount() {
  const pid_t child = fork();
  if (child == 0) _exit(OwnMounts() ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0;
}

TEST(FullRegion, AFullTmpfsLosesAndDoesNotKill) {
  if (!InIsolation() && !MayMount()) GTEST_SKIP() << "needs root, to mount a small tmpfs";
  MEMTRACE_ISOLATED(MountTinyTmpfs);
  EXPECT_NE(g_region.path()[0], 0);
  ExpectEveryCallRecordedOrLost(true);
}

}  // namespace
}  // namespace memtrace::testing
