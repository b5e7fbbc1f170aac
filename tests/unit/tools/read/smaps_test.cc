#include "tools/read/smaps.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace memtrace {
namespace {

constexpr char kText[] =
    "55d0c0000000-55d0c0002000 r-xp 00001000 08:01 1234                       /opt/a b/prog\n"
    "Size:                  8 kB\n"
    "Rss:                   8 kB\n"
    "VmFlags: rd ex mr mw me sd \n"
    "7f0000000000-7f0000100000 rw-p 00000000 00:00 0 \n"
    "Rss:                 512 kB\n"
    "VmFlags: rd wr mr mw me nr dd nh sd \n"
    "7f0000100000-7f0000101000 ---p 00000000 00:00 0 \n"
    "Rss:                   0 kB\n"
    "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n"
    "Rss:                  12 kB\n";

TEST(Smaps, Fields) {
  const std::vector<Vma> vmas = ParseSmaps(kText);
  ASSERT_EQ(vmas.size(), 4u);
  EXPECT_EQ(vmas[0].name, "/opt/a b/prog");
  EXPECT_EQ(vmas[0].inode, 1234u);
  EXPECT_EQ(vmas[0].rss, 8192u);
  EXPECT_FALSE(vmas[0].writable);
  EXPECT_FALSE(vmas[0].no_dump);
  EXPECT_TRUE(vmas[1].anonymous());
  EXPECT_EQ(vmas[1].size(), 1u << 20);
  EXPECT_TRUE(vmas[1].no_huge && vmas[1].no_dump && vmas[1].no_swap);
  EXPECT_FALSE(vmas[2].readable);
  EXPECT_EQ(vmas[3].name, "[stack]");
}

TEST(Smaps, NonsenseIsLeftOut) {
  EXPECT_TRUE(ParseSmaps("").empty());
  EXPECT_TRUE(ParseSmaps("Rss: 12 kB\nabc\n\n-\n").empty());
  EXPECT_TRUE(ParseSmaps("2000-1000 rw-p 00000000 00:00 0\nRss: 4 kB\n").empty());
  // One that overlaps is left out, with its fields.
  const std::vector<Vma> vmas = ParseSmaps(
      "1000-3000 rw-p 00000000 00:00 0\nRss: 4 kB\n2000-4000 rw-p 00000000 00:00 0\nRss: 8 kB\n");
  ASSERT_EQ(vmas.size(), 1u);
  EXPECT_EQ(vmas[0].rss, 4096u);
  EXPECT_EQ(ParseSmaps("1000-3000 rw-p 0 00:00 0\nRss: 99999999999999999999 kB\n")[0].rss, 0u);
}

TEST(Smaps, OfThisProcess) {
  constexpr size_t kBytes = 1 << 20;
  void* mapped = mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(mapped, kBytes, MADV_DONTDUMP);  // so that it does not merge with a neighbour
  const absl::StatusOr<std::vector<Vma>> vmas = ReadSmaps(getpid());
  ASSERT_TRUE(vmas.ok()) << vmas.status();
  const auto start = reinterpret_cast<uint64_t>(mapped);
  EXPECT_TRUE(std::any_of(vmas->begin(), vmas->end(), [&](const Vma& v) {
    return v.start <= start && v.end >= start + kBytes && v.no_dump && v.readable && !v.writable;
  }));
  munmap(mapped, kBytes);
}

TEST(Smaps, NobodyThere) {
  EXPECT_EQ(ReadSmaps(0x7ffffff0).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace memtrace
