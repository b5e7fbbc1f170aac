// Ten thousand changed files for each reader: an error or a correct read, never a crash, a hang or
// more memory than a file of that size is worth.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/tools/hostile/limits.h"
#include "tests/unit/tools/hostile/mutator.h"
#include "tests/unit/tools/model/grouped_profile.h"
#include "tests/unit/tools/model/gzip_bytes.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tests/unit/tools/read/rich_region.h"
#include "tools/model/snapshot_file.h"
#include "tools/read/decode.h"
#include "tools/read/figures.h"
#include "tools/read/region_file.h"

namespace memtrace {
namespace {

using testing::CheckOne;
using testing::Mutator;
using testing::Outcome;
using testing::PlacesOf;
using testing::RegionBuilder;

constexpr int kRounds = 10000;

// Recursion: few places, deep stacks.
Profile DeepProfile(int depth) {
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/app"));
  NodeId node = 0;
  for (int i = 0; i < depth; ++i) {
    node = profile.InternNode(node, PythonFrame(&profile, "deep.py", "f", 1 + i % 5));
    profile.AddSample({node, 0, Domain::kPythonObj, 0, 0, {1, 100, 1, 100, 1, 100, 0, 0}});
  }
  return profile;
}

std::vector<std::string> SnapshotContents() {
  WriteOptions strict;
  strict.strict_pprof = true;
  return {Gunzip(*SnapshotBytes(SmallProfile())), Gunzip(*SnapshotBytes(RandomProfile(3, 100))),
          Gunzip(*SnapshotBytes(Grouped(3))), Gunzip(*SnapshotBytes(DeepProfile(120))),
          Gunzip(*SnapshotBytes(RandomProfile(4, 50), strict))};
}

absl::StatusOr<Profile> ReadFile(const std::string& bytes) {
  const int fd = memfd_create("hostile", 0);
  EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  absl::StatusOr<Profile> profile = ReadSnapshotFile(absl::StrCat("/proc/self/fd/", fd));
  close(fd);
  return profile;
}

// What a checksum does not stop: the content is changed, then compressed.
TEST(HostileSnapshot, TenThousandChangesOfTheContent) {
  const std::vector<std::string> contents = SnapshotContents();
  Mutator mutator(20240301);
  Outcome outcome;
  for (int round = 0; round < kRounds; ++round) {
    const std::string& content = contents[mutator.Below(contents.size())];
    const std::string& other = contents[mutator.Below(contents.size())];
    const std::string file = Gzip(mutator.Change(content, {}, other), 1);
    CheckOne(file, absl::StrCat("round ", round), ReadFile, &outcome);
  }
  Record(outcome);
  EXPECT_GT(outcome.reads, kRounds / 20);
  EXPECT_GT(outcome.errors, kRounds / 20);
}

TEST(HostileSnapshot, TenThousandChangesOfTheFile) {
  std::vector<std::string> files;
  for (const std::string& content : SnapshotContents()) files.push_back(Gzip(content));
  Mutator mutator(20240302);
  Outcome outcome;
  for (int round = 0; round < kRounds; ++round) {
    const std::string& file = files[mutator.Below(files.size())];
    const std::string& other = files[mutator.Below(files.size())];
    CheckOne(mutator.Change(file, {}, other), absl::StrCat("round ", round), ReadFile, &outcome);
  }
  Record(outcome);
  EXPECT_GT(outcome.errors, kRounds * 9 / 10) << "the checksum finds nearly all";
}

absl::StatusOr<Profile> ReadRegion(const std::string& bytes) {
  auto region = RegionFile::FromBytes(bytes.data(), bytes.size(), "hostile");
  if (!region.ok()) return region.status();
  const HeaderTotals totals = ReadTotals(**region);
  EXPECT_GE(totals.now_bytes, 0);
  EXPECT_GE(CountAllocations(**region), 0);
  absl::StatusOr<Profile> profile = DecodeRegion(**region);
  if (profile.ok()) {
    EXPECT_EQ(testing::WhatIsMalformed(*profile), "");
  }
  return profile;
}

TEST(HostileRegion, TenThousandChanges) {
  RegionBuilder sample, rich, mixed;
  FillSample(&sample);
  FillRich(&rich);
  FillMixed(&mixed);
  const std::vector<std::string> files = {sample.Bytes(), rich.Bytes(), mixed.Bytes()};
  const std::vector<size_t> places[] = {PlacesOf(files[0], 256), PlacesOf(files[1], 256),
                                        PlacesOf(files[2], 256)};
  Mutator mutator(20240303);
  Outcome outcome;
  for (int round = 0; round < kRounds; ++round) {
    const size_t which = mutator.Below(files.size());
    const std::string file = mutator.Change(files[which], places[which], files[(which + 1) % 3]);
    CheckOne(file, absl::StrCat("round ", round), ReadRegion, &outcome);
  }
  Record(outcome);
  EXPECT_GT(outcome.reads, kRounds / 20);
  EXPECT_GT(outcome.errors, kRounds / 20);
}

}  // namespace
}  // namespace memtrace
