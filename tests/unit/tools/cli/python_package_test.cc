#include "tools/cli/python_package.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace memtrace {
namespace {

using Words = std::vector<std::string>;

// The words that are left, and the value that was taken behind them.
Words Take(Words program) {
  const std::string found = TakeTracemallocOption(&program);
  program.push_back("<" + found + ">");
  return program;
}

TEST(TakeTracemallocOption, TakesItInAllItsForms) {
  EXPECT_EQ(Take({"python", "-X", "tracemalloc", "a.py"}), (Words{"python", "a.py", "<1>"}));
  EXPECT_EQ(Take({"/usr/bin/python3.12", "-Xtracemalloc=25", "a.py"}),
            (Words{"/usr/bin/python3.12", "a.py", "<25>"}));
  EXPECT_EQ(Take({"python3", "-uBX", "tracemalloc=2", "-c", "x"}),
            (Words{"python3", "-uB", "-c", "x", "<2>"}));
  EXPECT_EQ(Take({"python3", "-X", "utf8", "-W", "-X", "-Xtracemalloc=2", "-X", "tracemalloc=3"}),
            (Words{"python3", "-X", "utf8", "-W", "-X", "<3>"}));
  EXPECT_EQ(Take({"python3", "--check-hash-based-pycs", "always", "-X", "tracemalloc", "-m", "x"}),
            (Words{"python3", "--check-hash-based-pycs", "always", "-m", "x", "<1>"}));
}

TEST(TakeTracemallocOption, LeavesWhatIsNotTheInterpreters) {
  const Words kOthers[] = {{"python", "a.py", "-X", "tracemalloc"},
                           {"python", "-c", "-Xtracemalloc"},
                           {"python", "-um", "x", "-Xtracemalloc"},
                           {"python", "-", "-Xtracemalloc"},
                           {"python", "-W", "-Xtracemalloc"},
                           {"python", "-X", "tracemallocs"},
                           {"python", "-X"},
                           {"pythonic", "-Xtracemalloc"},
                           {"ls", "-X", "tracemalloc"}};
  for (Words words : kOthers) {
    Words expected = words;
    expected.push_back("<>");
    EXPECT_EQ(Take(words), expected) << words[1];
  }
  Words none;
  EXPECT_EQ(TakeTracemallocOption(&none), "");
}

TEST(PythonPath, KeepsWhatIsThereBetweenStandInsAndThePackage) {
  setenv("PYTHONPATH", "/own:/other", 1);
  EXPECT_EQ(PythonPath("/p", {"a", "b"}),
            "/p/_instead/a:/p/_instead/b:/own:/other:/p/_instead/memtrace");
  setenv("PYTHONPATH", "", 1);  // an empty folder in it would be the present one
  EXPECT_EQ(PythonPath("/p", {}), "/p/_instead/memtrace");
  unsetenv("PYTHONPATH");
  EXPECT_EQ(PythonPath("/p", {}), "/p/_instead/memtrace");
}

}  // namespace
}  // namespace memtrace
