#include "interpose/command_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace memtrace {
namespace {

// The arguments that are kept, joined by blanks.
std::string Kept(const std::vector<std::string>& arguments) {
  std::string joined;
  for (const std::string& argument : arguments) joined += argument + '\0';
  std::string kept = joined.substr(0, NameBytes(joined.data(), joined.size()));
  if (!kept.empty()) kept.pop_back();
  for (char& c : kept) c = c == '\0' ? ' ' : c;
  return kept;
}

TEST(CommandLine, OfAProgramItsNameIsKept) {
  EXPECT_EQ(Kept({"/usr/bin/curl", "--user", "me:secret"}), "/usr/bin/curl");
  EXPECT_EQ(Kept({"sh", "-c", "secret"}), "sh");
  EXPECT_EQ(Kept({"sh", "script"}), "sh");
  EXPECT_EQ(Kept({"a.out"}), "a.out");
  EXPECT_EQ(Kept({"", "secret"}), "");
  EXPECT_EQ(Kept({}), "");
}

TEST(CommandLine, OfPythonTheScriptOrTheModuleIsKept) {
  EXPECT_EQ(Kept({"/opt/bin/python3.12", "dir/main.py", "secret"}),
            "/opt/bin/python3.12 dir/main.py");
  EXPECT_EQ(Kept({"python", "-m", "http.server", "secret"}), "python -m http.server");
  EXPECT_EQ(Kept({"pypy3", "main.py"}), "pypy3 main.py");
  EXPECT_EQ(Kept({"python", "-c", "secret"}), "python");
  EXPECT_EQ(Kept({"python", "-m"}), "python");
  EXPECT_EQ(Kept({"python", "-mmodule", "secret"}), "python");
  EXPECT_EQ(Kept({"python", "-u", "main.py", "secret"}), "python");
  EXPECT_EQ(Kept({"python", "-", "secret"}), "python");
  EXPECT_EQ(Kept({"python", "", "secret"}), "python");
  EXPECT_EQ(Kept({"/opt/python/bin/tool", "secret"}), "/opt/python/bin/tool");
}

// The end of a command line that was too long to be read may be missing.
TEST(CommandLine, WhatIsCutOffIsNotReadBehind) {
  const std::string whole("python\0-m\0module\0secret", 23);
  for (size_t bytes = 0; bytes <= whole.size(); bytes++) {
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<long>(bytes));
    EXPECT_LE(NameBytes(cut.data(), bytes), std::min(bytes, sizeof "python -m module"));
  }
}

}  // namespace
}  // namespace memtrace
