#include "tools/read/process_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace memtrace {
namespace {

TEST(PagesPresent, BytesOfPartsOfPages) {
  const PagesPresent pages(0x10000, {1, 0, 1, 1});
  EXPECT_EQ(pages.Bytes(0x10000, 0x14000), 3 * kPageBytes);
  EXPECT_EQ(pages.Bytes(0x10010, 0x10020), 0x10u);
  EXPECT_EQ(pages.Bytes(0x10ff0, 0x12010), 0x20u);
  EXPECT_EQ(pages.Bytes(0x11000, 0x12000), 0u);
  EXPECT_EQ(pages.Bytes(0, ~uint64_t{0}), 3 * kPageBytes);
  EXPECT_EQ(pages.Bytes(0x20000, 0x30000), 0u);
  EXPECT_TRUE(pages.Has(0x12fff));
  EXPECT_FALSE(pages.Has(0x11fff));
  EXPECT_FALSE(pages.Has(0xffff));
  EXPECT_FALSE(pages.Has(0x14000));
}

TEST(ProcessMemory, ReadsWhatIsThereAndTouchesNothing) {
  constexpr size_t kPages = 64;
  void* memory = mmap(nullptr, kPages * kPageBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  madvise(memory, kPages * kPageBytes, MADV_NOHUGEPAGE);
  auto* words = static_cast<uint32_t*>(memory);
  constexpr size_t kAt = 7 * kPageBytes / sizeof(uint32_t) + 5;
  words[kAt] = 4711;
  const auto start = reinterpret_cast<uint64_t>(memory);
  ProcessMemory process(getpid());
  std::vector<uint32_t> read(20 * kPageBytes / sizeof(uint32_t), 1);
  bool any = false;
  // From the middle of a page.
  ASSERT_TRUE(process.ReadSparse(start + 8, &read, &any).ok());
  EXPECT_TRUE(any);
  EXPECT_EQ(read[kAt - 2], 4711u);
  EXPECT_EQ(read[0], 0u);
  ASSERT_TRUE(process.ReadSparse(start + 30 * kPageBytes, &read, &any).ok());
  EXPECT_FALSE(any);
  PagesPresent present;
  ASSERT_TRUE(process.Present(start, start + kPages * kPageBytes, &present).ok());
  EXPECT_EQ(present.Bytes(start, start + kPages * kPageBytes), kPageBytes);
  munmap(memory, kPages * kPageBytes);
}

TEST(ProcessMemory, LooksAtSoMuchAddressSpaceAtMost) {
  ProcessMemory process(getpid());
  PagesPresent present;
  EXPECT_EQ(process.Present(0, (ProcessMemory::kMostPages + 1) * kPageBytes, &present).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ProcessMemory, NobodyThere) {
  ProcessMemory process(0x7ffffff0);
  PagesPresent present;
  EXPECT_EQ(process.Present(0, kPageBytes, &present).code(), absl::StatusCode::kNotFound);
  int word = 0;
  EXPECT_EQ(process.Read(reinterpret_cast<uint64_t>(&word), &word, sizeof(word)).code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace memtrace
