#include "tools/model/process_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/tools/model/grouped_profile.h"
#include "tests/unit/tools/model/profile_text.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tools/model/aggregate.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;

Table By(const Profile& profile, GroupBy by, const std::string& process = "") {
  View view;
  view.by = by;
  view.process = process;
  absl::StatusOr<Table> table = Aggregate(profile, view);
  EXPECT_TRUE(table.ok()) << table.status();
  return table.ok() ? *std::move(table) : Table{};
}

TEST(ProcessGroups, LinesAreAddedUpAndEachMemberKeepsItsFigures) {
  const Profile profile = Grouped(10);
  EXPECT_EQ(CountProcesses(profile), 11u);
  const Table lines = By(profile, GroupBy::kLine);
  ASSERT_EQ(lines.rows.size(), 1u);
  EXPECT_EQ(lines.rows[0].values.inuse_objects, 2 * (1000 + 55));
  EXPECT_EQ(lines.whole, profile.Totals());

  const Table processes = By(profile, GroupBy::kProcess);
  ASSERT_EQ(processes.rows.size(), 11u);
  EXPECT_EQ(processes.rows[0].label, "1 python main.py");
  EXPECT_EQ(processes.rows[1].label, "110 python main.py");
  EXPECT_EQ(processes.rows[1].values.inuse_bytes, 10 * 110);
  EXPECT_EQ(processes.whole, profile.Totals());
  Values sum;
  for (const Row& row : processes.rows) sum += row.values;
  EXPECT_EQ(sum, profile.Totals());
}

TEST(ProcessGroups, AMemberIsPickedByItsPidForItsFiguresOnly) {
  const Profile profile = Grouped(3);
  const Table table = By(profile, GroupBy::kProcess, "102");
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0].values.inuse_bytes, 2 * 110);
  EXPECT_EQ(table.whole.inuse_bytes, 2 * 110);
  View view;
  view.process = "102";
  const absl::Status none = Aggregate(profile, view).status();
  EXPECT_THAT(std::string(none.message()),
              HasSubstr("process 102 were added up with those of its program (python main.py, 3 "
                        "processes)"));
  view.by = GroupBy::kProcess;
  view.domains = {Domain::kMalloc};
  EXPECT_EQ(Aggregate(profile, view)->rows[0].values.inuse_bytes, 2 * 100);
}

TEST(ProcessGroups, AMessageNamesNotAllOfThousands) {
  View view;
  view.process = "other";
  const absl::Status none = Aggregate(Grouped(1000), view).status();
  EXPECT_THAT(std::string(none.message()), HasSubstr("and 982 more: --by process shows them"));
}

TEST(ProcessGroups, ProgramsAndFoldersAreToldApart) {
  ProcessGroups groups;
  groups.Add(OneProcess(101, 1));
  groups.Add(OneProcess(102, 1, "/srv/app"));
  Profile other = OneProcess(103, 1);
  other.processes[0].command = {"python", "other.py", "--fast"};
  groups.Add(other);
  groups.Add(other);
  int count = 0;
  for (const Process& process : groups.profile().processes) count += process.is_group();
  EXPECT_EQ(count, 3);
  EXPECT_EQ(By(groups.profile(), GroupBy::kLine, "other").whole.inuse_objects, 4);
}

TEST(ProcessGroups, HoweverManyProgramsThereAre) {
  ProcessGroups groups;
  const uint32_t most = 2 * ProcessGroups::kMostGroups + 1;
  for (uint32_t i = 0; i < 3 * most; ++i) {
    Profile one = OneProcess(static_cast<int32_t>(1000 + i), 1);
    one.processes[0].command = {"python", "script" + std::to_string(i) + ".py"};
    groups.Add(one);
  }
  uint32_t count = 0;
  for (const Process& process : groups.profile().processes) count += process.is_group();
  EXPECT_LE(count, most);
  EXPECT_EQ(CountProcesses(groups.profile()), 3 * most);
  EXPECT_EQ(groups.profile().Totals().inuse_objects, 3 * most * 2);
}

TEST(ProcessGroups, AreStoredAndMerged) {
  Profile profile = SmallProfile();
  profile.Merge(Grouped(5));
  absl::StatusOr<std::string> bytes = SnapshotBytes(profile);
  ASSERT_TRUE(bytes.ok());
  absl::StatusOr<Profile> read = ReadSnapshotBytes(*bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(profile));
  EXPECT_EQ(By(*read, GroupBy::kProcess).rows.size(), 7u);
}

TEST(ProcessGroups, WhatIsAddedToNoGroupIsRefused) {
  for (const uint32_t wrong : {1u, 3u, 4u, UINT32_MAX}) {  // no group, itself, beyond the end
    Profile profile = OneProcess(1, 1);
    ProcessGroups groups;
    groups.Add(OneProcess(2, 1));
    profile.Merge(groups.profile());
    profile.processes[2].added_to = wrong;
    const absl::StatusOr<Profile> read = ReadSnapshotBytes(*SnapshotBytes(profile));
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << wrong;
  }
}

}  // namespace
}  // namespace memtrace
