// The line decoders against what each CPython here says of its own code, and against nonsense.

#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "interpose/python/code.h"

namespace memtrace::python {
namespace {

namespace fs = std::filesystem;
using Decoder = uint32_t (*)(const uint8_t*, uint64_t, int, int);

constexpr int kOldest = 8, kNewest = 14;

// Release builds of CPython 3.8 and later: in PATH, the system's, and pyenv's.
std::vector<std::string> FindPythons() {
  std::set<std::string> found;
  const auto add = [&](const fs::path& path) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (!error && fs::is_regular_file(real, error)) found.insert(real.string());
  };
  std::vector<std::string> folders = {"/usr/bin", "/usr/local/bin"};
  std::istringstream path(getenv("PATH") != nullptr ? getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');) folders.push_back(folder);
  const char* home = getenv("HOME");
  const char* root = getenv("PYENV_ROOT");
  const fs::path versions =
      fs::path(root != nullptr ? root : std::string(home != nullptr ? home : "") + "/.pyenv") /
      "versions";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(versions, error)) {
    folders.push_back((entry.path() / "bin").string());
  }
  for (const std::string& folder : folders) {
    if (folder.find("shims") != std::string::npos) continue;
    for (int minor = kOldest; minor <= kNewest; minor++) {
      add(fs::path(folder) / ("python3." + std::to_string(minor)));
    }
  }
  return {found.begin(), found.end()};
}

Decoder DecoderOf(const std::string& kind) {
  if (kind == "deltas") return LineFromDeltas;
  if (kind == "ranges") return LineFromRanges;
  if (kind == "locations") return LineFromLocations;
  return nullptr;
}

std::vector<uint8_t> FromHex(const std::string& hex) {
  std::vector<uint8_t> bytes;
  if (hex == "-") return bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

struct Checked {
  int codes = 0;
  int instructions = 0;
};

// Going on from where one has been is the same as beginning anew, in whichever order.
void CheckCursor(const std::vector<uint8_t>& table, int first_line, int end) {
  std::mt19937 random(1);
  LineCursor cursor = {1, 0, -1, 0};
  for (int i = 0, at = 0; i < 40 && end > 0; i++) {
    at = random() % 4 == 0 ? static_cast<int>(random() % (end / 2)) * 2 : (at + 6) % end;
    ASSERT_EQ(LineFromLocationsAt(table.data(), table.size(), first_line, at, &cursor),
              LineFromLocations(table.data(), table.size(), first_line, at))
        << "offset " << at;
  }
}

// One line of line_truth.py.
void CheckCode(const std::string& text, Decoder decode, Checked* checked) {
  std::istringstream in(text);
  int first_line = 0;
  std::string hex, lines;
  in >> first_line >> hex >> lines;
  const std::vector<uint8_t> table = FromHex(hex);
  EXPECT_EQ(decode(table.data(), table.size(), first_line, -2),
            static_cast<uint32_t>(first_line));  // a frame that has not begun
  std::istringstream each(lines);
  int offset = 0;
  for (std::string line; std::getline(each, line, ','); offset += 2) {
    ASSERT_EQ(decode(table.data(), table.size(), first_line, offset), std::stoul(line))
        << "offset " << offset << " of " << text.substr(0, 200);
    checked->instructions++;
  }
  checked->codes++;
  if (decode == LineFromLocations) CheckCursor(table, first_line, offset);
}

void CheckPython(const std::string& python, Checked* checked) {
  const std::string command =
      "'" + python + "' -S -W ignore '" MEMTRACE_SOURCE_DIR "/tests/unit/interpose/line_truth.py'";
  FILE* out = popen(command.c_str(), "r");
  ASSERT_NE(out, nullptr);
  char* line = nullptr;
  size_t room = 0;
  Decoder decode = nullptr;
  for (ssize_t n; (n = getline(&line, &room, out)) > 0 && !::testing::Test::HasFatalFailure();) {
    const std::string text(line, static_cast<size_t>(n) - 1);
    if (decode == nullptr) {
      decode = DecoderOf(text);
      ASSERT_NE(decode, nullptr) << text;
    } else {
      CheckCode(text, decode, checked);
    }
  }
  free(line);
  EXPECT_EQ(pclose(out), 0);
}

TEST(LineTables, AgreeWithEachPythonHere) {
  const std::vector<std::string> pythons = FindPythons();
  if (pythons.empty()) GTEST_SKIP() << "no CPython 3.8 or later on this machine";
  for (const std::string& python : pythons) {
    SCOPED_TRACE(python);
    Checked checked;
    CheckPython(python, &checked);
    EXPECT_GT(checked.codes, 1000);
    EXPECT_GT(checked.instructions, 50000);
    printf("%s: %d code objects, %d instructions\n", python.c_str(), checked.codes,
           checked.instructions);
  }
}

TEST(LineTables, AnEmptyTableHasNoLinesOfItsOwn) {
  EXPECT_EQ(LineFromDeltas(nullptr, 0, 7, 0), 7u);
  EXPECT_EQ(LineFromRanges(nullptr, 0, 7, 0), 0u);
  EXPECT_EQ(LineFromLocations(nullptr, 0, 7, 0), 0u);
  EXPECT_EQ(LineFromRanges(nullptr, 0, 7, -2), 7u);
  EXPECT_EQ(LineFromLocations(nullptr, 0, 7, -2), 7u);
}

// Whatever the bytes are, a decoder ends, reads no further than they go, and overflows nothing: for
// the address and undefined-behaviour sanitizers to see.
TEST(LineTables, HostileTablesDoNoHarm) {
  constexpr uint64_t kSeed = 20;
  std::mt19937_64 random(kSeed);
  const uint8_t kLikely[] = {0x00, 0x40, 0x7f, 0x80, 0xe8, 0xef, 0xf0, 0xf8, 0xff};
  uint64_t sum = 0;
  for (int i = 0; i < 20000; i++) {
    // Of exactly this size, so that a byte too many is noticed.
    std::vector<uint8_t> table(random() % (i % 50 == 0 ? 5000 : 70));
    table.shrink_to_fit();
    const bool likely = random() % 2 == 0;
    for (uint8_t& byte : table) {
      byte = likely ? kLikely[random() % std::size(kLikely)] : static_cast<uint8_t>(random());
    }
    const int first = random() % 8 == 0 ? INT_MAX : static_cast<int>(random() % 100000);
    const int offset = random() % 8 == 0 ? INT_MAX : static_cast<int>(random() % 3000) - 10;
    for (const Decoder decode : {LineFromDeltas, LineFromRanges, LineFromLocations}) {
      sum += decode(table.data(), table.size(), first, offset);
      if (i % 50 == 0) sum += decode(table.data(), table.size(), first, INT_MAX);
    }
  }
  EXPECT_NE(sum, 0u) << "seed " << kSeed;
}

}  // namespace
}  // namespace memtrace::python
