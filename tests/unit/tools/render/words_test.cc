#include "tools/render/words.h"

#include <gtest/gtest.h>

#include "tests/unit/tools/model/grouped_profile.h"

namespace memtrace {
namespace {

TEST(Summarize, CountsMembersOfGroupsOnce) {
  const Profile profile = Grouped(10);
  const Overview all = Summarize(profile, "");
  EXPECT_EQ(all.now_bytes, (1000 + 55) * 110);
  EXPECT_EQ(all.peak_bytes, (1000 + 55) * 110);
  EXPECT_EQ(all.others, 10u);
  EXPECT_EQ(all.lost, 11u);
  const Overview one = Summarize(profile, "105");
  EXPECT_EQ(one.now_bytes, 5 * 110);
  EXPECT_EQ(one.lost, 1u);
}

TEST(PlaceText, NamesNativeFramesOfAStack) {
  Place place;
  place.kind = FrameKind::kNative;
  place.file.shown = "src/foo.cc";
  place.function = "make(int)";
  place.line = 9;
  EXPECT_EQ(PlaceText(place, GroupBy::kTraceback), "make(int) (src/foo.cc:9)");
  EXPECT_EQ(PlaceText(place, GroupBy::kLine), "src/foo.cc:9");
  place.line = 0;
  place.file.shown = "/opt/lib/libfoo.so";
  EXPECT_EQ(PlaceText(place, GroupBy::kTraceback), "make(int) [libfoo.so]");
  EXPECT_EQ(PlaceText(place, GroupBy::kLine), "libfoo.so!make(int)");
  place.function.clear();
  place.address = 0x1234;
  EXPECT_EQ(PlaceText(place, GroupBy::kTraceback), "0x1234 [libfoo.so]");
  EXPECT_EQ(PlaceText(place, GroupBy::kModule), "libfoo.so");
  place.file.shown.clear();
  EXPECT_EQ(PlaceText(place, GroupBy::kTraceback), "0x1234");
}

TEST(Notes, SayHowNativeStacksWereTaken) {
  Profile profile;
  profile.processes.resize(2);
  EXPECT_EQ(Notes(Summarize(profile, "")), std::vector<std::string>());
  profile.processes[0].unwind_method = "incremental";
  profile.processes[0].flags = kFlagNativeStacks;
  EXPECT_EQ(Notes(Summarize(profile, "")), std::vector<std::string>{"Native stacks: incremental."});
  profile.processes[1].unwind_method = "incremental";
  profile.processes[0].stacks_checked = 1200;
  profile.processes[1].stacks_checked = 34;
  profile.processes[0].stacks_cut = 1;
  EXPECT_EQ(Notes(Summarize(profile, "")),
            std::vector<std::string>{
                "Native stacks: incremental; 1,234 native stacks compared with a full unwinding, "
                "all the same; 1 native stack ends before the outermost frame."});
  profile.processes[1].stacks_different = 2;
  profile.processes[1].stacks_cut = 1;
  profile.processes[1].unwind_method = "libunwind";
  EXPECT_EQ(Notes(Summarize(profile, "")),
            std::vector<std::string>{
                "Native stacks: incremental, libunwind; 1,234 native stacks compared with a full "
                "unwinding, 2 different; 2 native stacks end before the outermost frame."});
}

TEST(Summarize, AddressSpaceIsApart) {
  Profile profile = Grouped(2);
  const int64_t now = Summarize(profile, "").now_bytes;
  EXPECT_EQ(MappedText(Summarize(profile, "")), "");
  profile.AddSample({0, 0, Domain::kMmap, 0, 0, {9, 1 << 30, 0, 0, 1, 3 << 20, 0, 0}});
  EXPECT_EQ(MappedText(Summarize(profile, "")), "mapped: 3072 KiB anonymous at the peak");
  profile.AddSample({0, 0, Domain::kMmapFile, 0, 0, {1, 8192, 1, 8192, 1, 8192, 0, 0}});
  EXPECT_EQ(MappedText(Summarize(profile, "")), "mapped: 8192 B of files");
  profile.AddSample({0, 0, Domain::kMmap, 0, 0, {1, 2 << 20, 1, 2 << 20, 1, 2 << 20, 0, 0}});
  const Overview overview = Summarize(profile, "");
  EXPECT_EQ(MappedText(overview), "mapped: 2048 KiB anonymous, 8192 B of files");
  EXPECT_EQ(overview.now_bytes, now);
  EXPECT_EQ(overview.peak_bytes, now);
}

}  // namespace
}  // namespace memtrace
