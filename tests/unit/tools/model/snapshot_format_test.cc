// The format as it is promised: files of released versions, and the example in core/FORMAT.md.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/escaping.h"
#include "tests/unit/tools/model/gzip_bytes.h"
#include "tests/unit/tools/model/profile_text.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

// A file of the first released format: it must be readable for good. Made by this test with
// MEMTRACE_WRITE_STORED set; core/FORMAT.md explains its bytes.
TEST(StoredSnapshot, IsStillRead) {
  const std::string path =
      std::string(MEMTRACE_SOURCE_DIR) + "/tests/unit/tools/model/testdata/v1.mtr";
  if (std::getenv("MEMTRACE_WRITE_STORED") != nullptr) {
    WriteOptions force;
    force.force = true;
    ASSERT_TRUE(WriteSnapshotFile(SmallProfile(), path, force).ok());
  }
  const absl::StatusOr<Profile> read = ReadSnapshotFile(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(SmallProfile()));
}

Profile ExampleProfile() {
  Profile profile;
  profile.tool_version = "0.1.0";
  profile.taken_realtime_ns = 1700000000000000000;
  Process process;
  process.pid = 7;
  process.command = {"python", "a.py"};
  process.python = "3.12.1";
  process.end = EndKind::kRunning;
  process.peak_bytes = 96;
  process.threads = {{7, "python", 1, false}};
  profile.processes.push_back(process);
  const FrameId frame = PythonFrame(&profile, "a.py", "f", 3);
  profile.AddSample(
      {Stack(&profile, {frame}), 0, Domain::kPythonObj, 0, 0, {5, 160, 2, 64, 3, 96, 1, 32}});
  return profile;
}

// The lines of the worked example look like "0040  0a 03 61 62 63   what they mean".
std::string BytesOfTheDocument(const std::string& path) {
  std::string bytes;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of("0123456789abcdef") != 4 || line.substr(4, 2) != "  ") continue;
    for (size_t i = 6; i + 1 < line.size() && line[i] != ' '; i += 3) {
      bytes += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
    }
  }
  return bytes;
}

TEST(FormatDocument, WorkedExampleIsReal) {
  const std::string content = Gunzip(*SnapshotBytes(ExampleProfile()));
  const std::string documented =
      BytesOfTheDocument(std::string(MEMTRACE_SOURCE_DIR) + "/core/FORMAT.md");
  EXPECT_EQ(absl::BytesToHexString(documented), absl::BytesToHexString(content));
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(Gzip(documented));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ProfileText(*read), ProfileText(ExampleProfile()));
}

}  // namespace
}  // namespace memtrace
