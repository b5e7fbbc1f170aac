// Files: written whole, replaced only when asked for, and errors that say what to do.

#include "tools/model/snapshot_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/tools/model/gzip_bytes.h"
#include "tests/unit/tools/model/profile_text.h"
#include "tests/unit/tools/model/random_profile.h"

namespace memtrace {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class TemporaryFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/snapshot.XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  int Entries() const {
    int n = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++n;
    return n;
  }

  std::string folder_;
};

using SnapshotFile = TemporaryFolder;

TEST_F(SnapshotFile, IsWrittenAndRead) {
  const Profile profile = RandomProfile(7);
  ASSERT_TRUE(WriteSnapshotFile(profile, Path("a.mtr")).ok());
  const absl::StatusOr<Profile> read = ReadSnapshotFile(Path("a.mtr"));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(profile));
  EXPECT_EQ(Entries(), 1) << "nothing is left aside";
}

TEST_F(SnapshotFile, ReplacesOnlyWithForce) {
  ASSERT_TRUE(WriteSnapshotFile(RandomProfile(1), Path("a.mtr")).ok());
  const absl::Status refused = WriteSnapshotFile(RandomProfile(2), Path("a.mtr"));
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(refused.message()), StartsWith(Path("a.mtr")));
  EXPECT_EQ(ProfileText(*ReadSnapshotFile(Path("a.mtr"))), ProfileText(RandomProfile(1)));
  WriteOptions force;
  force.force = true;
  ASSERT_TRUE(WriteSnapshotFile(RandomProfile(2), Path("a.mtr"), force).ok());
  EXPECT_EQ(ProfileText(*ReadSnapshotFile(Path("a.mtr"))), ProfileText(RandomProfile(2)));
  EXPECT_EQ(Entries(), 1);
}

TEST_F(SnapshotFile, SaysWhyItCannotBeWritten) {
  const absl::Status none = WriteSnapshotFile(RandomProfile(1), Path("none/a.mtr"));
  EXPECT_EQ(none.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.message()), HasSubstr("make its folder first"));
  const absl::Status folder = WriteSnapshotFile(RandomProfile(1), folder_);
  EXPECT_THAT(std::string(folder.message()), HasSubstr("Is a directory"));
  EXPECT_EQ(Entries(), 0);
}

TEST_F(SnapshotFile, LeavesNothingWhenTheDiskIsFull) {
  const absl::Status full = WriteSnapshotFile(RandomProfile(1, 5000), "/dev/full");
  EXPECT_FALSE(full.ok());
  EXPECT_EQ(full.message(),
            "/dev/full: cannot write: No space left on device; free space or choose another place "
            "with -o");
  // A file system that refuses in the middle: a limit on the file's size.
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status cut = WriteSnapshotFile(RandomProfile(1, 5000), Path("a.mtr"));
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(cut.ok());
  EXPECT_THAT(std::string(cut.message()), StartsWith(Path("a.mtr") + ": cannot write: File too"));
  EXPECT_THAT(std::string(cut.message()), HasSubstr("ulimit -f"));
  EXPECT_EQ(Entries(), 0);
}

TEST_F(SnapshotFile, SaysWhatIsNoSnapshot) {
  EXPECT_EQ(ReadSnapshotFile(Path("none.mtr")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadSnapshotFile(folder_).status().message()), HasSubstr("directory"));
  std::ofstream(Path("x.mtr")) << "hello, this is text";
  const absl::Status text = ReadSnapshotFile(Path("x.mtr")).status();
  EXPECT_THAT(std::string(text.message()), StartsWith(Path("x.mtr") + ": not a memtrace snapshot"));
  std::ofstream(Path("empty.mtr"));
  EXPECT_FALSE(ReadSnapshotFile(Path("empty.mtr")).ok());
  std::ofstream(Path("gz.mtr")) << Gzip("this is text in gzip, not a profile");
  EXPECT_FALSE(ReadSnapshotFile(Path("gz.mtr")).ok());
}

}  // namespace
}  // namespace memtrace
