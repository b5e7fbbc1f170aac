#include "tools/cli/oom_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace memtrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// As the kernel writes them: the second version alone, and the first with the second beside it.
constexpr char kUnified[] =
    "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    "30 23 0:27 / /sys/fs/pstore rw - pstore pstore rw\n";
constexpr char kMixed[] =
    "41 32 0:36 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n"
    "42 32 0:37 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n"
    "43 32 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
// In a container that sees a part of the hierarchy only.
constexpr char kContainer[] =
    "50 49 0:37 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

TEST(OomWatch, FindsTheGroupOfTheSecondVersion) {
  EXPECT_THAT(MemoryGroups("0::/user.slice/a b:c\n", MemoryMounts(kUnified)),
              ElementsAre("/sys/fs/cgroup/user.slice/a b:c"));
  EXPECT_THAT(MemoryGroups("0::/\n", MemoryMounts(kUnified)), ElementsAre("/sys/fs/cgroup"));
}

TEST(OomWatch, FindsTheGroupOfTheFirstVersion) {
  EXPECT_THAT(MemoryGroups("8:cpu:/x\n4:memory:/jobs/7\n0::/\n", MemoryMounts(kMixed)),
              ElementsAre("/sys/fs/cgroup/memory/jobs/7", "/sys/fs/cgroup/unified"));
  EXPECT_THAT(MemoryGroups("4:memory:/docker/abc/in\n", MemoryMounts(kContainer)),
              ElementsAre("/sys/fs/cgroup/memory/in"));
  EXPECT_THAT(MemoryGroups("4:memory:/elsewhere\n", MemoryMounts(kContainer)), IsEmpty());
}

TEST(OomWatch, NonsenseIsNoGroup) {
  EXPECT_THAT(MemoryMounts(" - \n1 2 3 - cgroup2\n-\n"), IsEmpty());
  EXPECT_THAT(MemoryGroups("\n:\n4:memory\n", MemoryMounts(kMixed)), IsEmpty());
}

TEST(OomWatch, NothingHasStruckThisProcess) {
  OomWatch watch;
  EXPECT_EQ(watch.Struck(), "");
  watch.Sample(getpid());
  watch.Sample(1 << 22);  // no such process
  EXPECT_EQ(watch.Struck(), "");
}

}  // namespace
}  // namespace memtrace
