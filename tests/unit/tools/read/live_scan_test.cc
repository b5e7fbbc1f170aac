// The words are laid by hand here, as core/live_shadow.h says; that the library lays them so is
// for tests/e2e/test_ledger.py.
#include "tools/read/live_scan.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <map>

namespace memtrace {
namespace {

constexpr uint64_t kBytes = uint64_t{4} << 43;  // of a shadow
constexpr uint64_t kHeap = 0x7f1234500000;

class Shadows {
 public:
  Shadows() {
    coarse_ = Make();
    fine_ = Make();
    roots_.coarse = reinterpret_cast<uint64_t>(coarse_);
    roots_.fine = reinterpret_cast<uint64_t>(fine_);
  }
  ~Shadows() {
    if (coarse_ != nullptr) munmap(coarse_, kBytes);
    if (fine_ != nullptr) munmap(fine_, kBytes);
  }
  bool ok() const { return coarse_ != nullptr && fine_ != nullptr; }
  uint64_t roots() const { return reinterpret_cast<uint64_t>(&roots_); }
  void Coarse(uint64_t address, uint32_t word) { coarse_[LiveCoarseIndex(address)] = word; }
  void Fine(uint64_t address, uint32_t word) { fine_[LiveFineIndex(address)] = word; }
  void Forget() { roots_.coarse = 0; }

 private:
  static uint32_t* Make() {
    void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    madvise(memory, kBytes, MADV_NOHUGEPAGE);
    return static_cast<uint32_t*>(memory);
  }

  uint32_t* coarse_ = nullptr;
  uint32_t* fine_ = nullptr;
  LiveShadows roots_ = {};
};

struct Found {
  uint64_t bytes;
  uint32_t site;
  bool operator==(const Found&) const = default;
};

std::map<uint64_t, Found> Scan(const Shadows& shadows, uint64_t start, uint64_t end) {
  ProcessMemory memory(getpid());
  LiveScan scan(&memory);
  std::map<uint64_t, Found> found;
  EXPECT_TRUE(scan.Open(shadows.roots()).ok());
  absl::Status status = scan.ForEach(start, end, [&](uint64_t at, uint64_t bytes, uint32_t site) {
    found[at] = {bytes, site};
  });
  EXPECT_TRUE(status.ok()) << status;
  return found;
}

TEST(LiveScan, BlocksOfEverySize) {
  Shadows shadows;
  if (!shadows.ok()) GTEST_SKIP() << "no address space for the shadows";
  shadows.Coarse(kHeap, 7 << 8 | 33);                   // 32 bytes
  shadows.Coarse(kHeap + 32, 8 << 8 | kLiveHalf | 62);  // 96 bytes at 48
  shadows.Coarse(kHeap + 160, 9 << 8 | kLiveSizeNext);  // 1000 bytes
  shadows.Coarse(kHeap + 192, 1000 << kLiveTagBits);
  shadows.Coarse(kHeap + 4096, 10 << 8 | kLiveSizeWide);  // 5 GiB and 3 bytes
  const uint64_t wide = (uint64_t{5} << 30) + 3;
  shadows.Coarse(kHeap + 4128, static_cast<uint32_t>(wide << kLiveTagBits));
  shadows.Coarse(kHeap + 4160, static_cast<uint32_t>(wide >> 25) << kLiveTagBits);
  shadows.Coarse(kHeap + 8192, 11 << 8 | kLiveCode);  // a code object of 400 bytes
  shadows.Coarse(kHeap + 8224, 400 << kLiveTagBits);
  shadows.Coarse(kHeap + 8288, 77 << kLiveTagBits | kLiveId);
  shadows.Coarse(kHeap + 12288, kLiveMarker);  // of a block never recorded
  shadows.Fine(kHeap + 16400, 12 << 8 | 17);   // 16 bytes, second of two
  const std::map<uint64_t, Found> expected = {{kHeap, {32, 7}},          {kHeap + 48, {96, 8}},
                                              {kHeap + 160, {1000, 9}},  {kHeap + 4096, {wide, 10}},
                                              {kHeap + 8192, {400, 11}}, {kHeap + 16400, {16, 12}}};
  EXPECT_EQ(Scan(shadows, kHeap, kHeap + (64 << 20)), expected);
  // Only what starts there.
  EXPECT_EQ(Scan(shadows, kHeap + 48, kHeap + 4096).size(), 2u);
  EXPECT_TRUE(Scan(shadows, kHeap + (1 << 20), kHeap + (2 << 20)).empty());
}

TEST(LiveScan, ASizeBehindTheWindow) {
  Shadows shadows;
  if (!shadows.ok()) GTEST_SKIP() << "no address space for the shadows";
  // The last granule of 16 MiB: the size is in the first of the next.
  const uint64_t last = (kHeap / (16 << 20) + 1) * (16 << 20) - 32;
  shadows.Coarse(last, 3 << 8 | kLiveSizeNext);
  shadows.Coarse(last + 32, 5000 << kLiveTagBits);
  const auto found = Scan(shadows, kHeap, last + (32 << 20));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found.at(last), (Found{5000, 3}));
}

TEST(LiveScan, WhatCannotBeRead) {
  ProcessMemory memory(getpid());
  LiveScan scan(&memory);
  EXPECT_FALSE(scan.Open(0).ok());
  EXPECT_FALSE(scan.Open(1 << 12).ok());  // nothing is mapped there
  Shadows shadows;
  shadows.Forget();
  EXPECT_EQ(scan.Open(shadows.roots()).code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace memtrace
