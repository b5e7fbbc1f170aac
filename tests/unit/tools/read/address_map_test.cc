#include "tools/read/address_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace memtrace {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kArena = 0x7f0004000000;  // a multiple of 64 MiB

Vma Memory(uint64_t start, uint64_t end, uint64_t rss, const std::string& name = "") {
  Vma vma;
  vma.start = start;
  vma.end = end;
  vma.rss = rss;
  vma.readable = vma.writable = true;
  vma.name = name;
  if (!name.empty() && name[0] == '/') vma.inode = 7;
  return vma;
}

Vma NoAccess(uint64_t start, uint64_t end) {
  Vma vma = Memory(start, end, 0);
  vma.readable = vma.writable = false;
  return vma;
}

// What each piece is for, in order.
std::vector<Use> Uses(const std::vector<Vma>& vmas, const AddressHints& hints = {}) {
  std::vector<Use> uses;
  uint64_t in_pieces = 0, in_all = 0;
  for (const Piece& piece : MapAddresses(vmas, hints, nullptr)) {
    uses.push_back(piece.use);
    in_pieces += piece.rss;
    EXPECT_LE(piece.rss, piece.end - piece.start);
  }
  for (const Vma& vma : vmas) in_all += vma.rss;
  EXPECT_EQ(in_pieces, in_all);
  return uses;
}

using ::testing::ElementsAre;

TEST(AddressMap, NamesOfTheKernel) {
  EXPECT_THAT(
      Uses({Memory(0x1000, 0x2000, 4096, "/bin/prog"), Memory(0x5000, 0x9000, 4096, "[heap]"),
            Memory(0xa000, 0xb000, 4096, "/opt/lib/libmemtrace.so"),
            Memory(0xc000, 0xd000, 4096, "[vdso]"), Memory(0xe000, 0xf000, 4096, "[stack]")}),
      ElementsAre(Use::kFile, Use::kGlibcHeap, Use::kRecorder, Use::kFile, Use::kStack));
}

TEST(AddressMap, BssIsTheFilesBeforeIt) {
  EXPECT_THAT(Uses({Memory(0x1000, 0x2000, 4096, "/lib/libx.so"), Memory(0x2000, 0x3000, 4096),
                    Memory(0x4000, 0x5000, 4096, "/opt/libmemtrace.so"),
                    Memory(0x5000, 0x6000, 4096), Memory(0x7000, 0x8000, 4096)}),
              ElementsAre(Use::kFile, Use::kFile, Use::kRecorder, Use::kRecorder, Use::kUnknown));
}

TEST(AddressMap, ArenasOfThreads) {
  const uint64_t end = kArena + 64 * kMiB;
  EXPECT_THAT(Uses({Memory(kArena, kArena + kMiB, kMiB), NoAccess(kArena + kMiB, end)}),
              ElementsAre(Use::kGlibcHeap));
  // Memory of somebody else that has merged with it.
  EXPECT_THAT(Uses({Memory(kArena - kMiB, kArena + kMiB, kMiB), NoAccess(kArena + kMiB, end)}),
              ElementsAre(Use::kUnknown, Use::kGlibcHeap));
  // Nothing but memory at such an address.
  EXPECT_THAT(Uses({Memory(kArena, kArena + kMiB, kMiB)}), ElementsAre(Use::kUnknown));
  EXPECT_THAT(Uses({Memory(kArena, kArena + kMiB, kMiB), NoAccess(kArena + kMiB, end - kMiB)}),
              ElementsAre(Use::kUnknown));
}

TEST(AddressMap, StacksByGuardAndByThreads) {
  EXPECT_THAT(Uses({NoAccess(0x1000, 0x2000), Memory(0x2000, 0x9000, 4096)}),
              ElementsAre(Use::kStack));
  EXPECT_THAT(Uses({NoAccess(0x1000, 0x3000), Memory(0x3000, 0x9000, 4096)}),
              ElementsAre(Use::kUnknown));
  AddressHints hints;
  hints.stacks = {0x8ff0};
  EXPECT_THAT(Uses({Memory(0x3000, 0x9000, 4096), Memory(0xa000, 0xb000, 4096)}, hints),
              ElementsAre(Use::kStack, Use::kUnknown));
}

TEST(AddressMap, TablesOfTheRecorder) {
  Vma table = Memory(0x10000, 0x20000, 4096);
  table.no_dump = table.no_huge = table.no_swap = true;
  Vma secret = Memory(0x30000, 0x40000, 4096);
  secret.no_dump = true;  // as programs do with keys
  EXPECT_THAT(Uses({table, secret}), ElementsAre(Use::kRecorder, Use::kUnknown));
}

TEST(AddressMap, RecordsCutMemory) {
  AddressHints hints;
  hints.mapped = {{0x2000, 0x4000, 5, MappingKind::kAnonymous},
                  {0x6000, 0x7000, 0, MappingKind::kPythonAllocator},
                  {0x8000, 0x20000, 0, MappingKind::kAllocator}};
  EXPECT_THAT(Uses({Memory(0x1000, 0x9000, 0x5000)}, hints),
              ElementsAre(Use::kUnknown, Use::kAnonymous, Use::kUnknown, Use::kPythonArena,
                          Use::kUnknown, Use::kOtherAllocator));
  // A file's memory is the file's, whatever records say.
  EXPECT_THAT(Uses({Memory(0x1000, 0x9000, 0x5000, "/lib/libx.so")}, hints),
              ElementsAre(Use::kFile));
}

TEST(AddressMap, TheRegionItself) {
  AddressHints hints;
  hints.region_path = "/dev/shm/memtrace-0/1-2-0.region";
  hints.region_inode = 7;
  EXPECT_THAT(Uses({Memory(0x1000, 0x9000, 0x5000, hints.region_path),
                    Memory(0xa000, 0xb000, 4096, "/dev/shm/other")},
                   hints),
              ElementsAre(Use::kRecorder, Use::kFile));
}

}  // namespace
}  // namespace memtrace
