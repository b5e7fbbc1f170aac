// Our tracemalloc form against tracemalloc itself: the same blocks are given to both, and the
// printed lines must be equal, in order and to the letter.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/unit/tools/model/random_profile.h"
#include "tools/render/render.h"

namespace memtrace {
namespace {

using Json = nlohmann::json;

// Reads {"old": [[size, [[file, line], ...innermost first]], ...], "new": [...], "views": [...]}
// and prints each view's lines.
constexpr char kWitness[] = R"(
import json, sys, tracemalloc
def snapshot(blocks):
    traces = []
    for size, frames in blocks:
        frames = tuple((f, l) for f, l in frames)
        trace = (0, size, frames)
        traces.append(trace + (len(frames),) if sys.version_info >= (3, 9) else trace)
    return tracemalloc.Snapshot(tuple(traces), 100)
data = json.load(open(sys.argv[1]))
old, new = snapshot(data["old"]), snapshot(data["new"])
for group, cumulative, compare in data["views"]:
    stats = (new.compare_to(old, group, cumulative) if compare else
             new.statistics(group, cumulative))
    print("==", group, cumulative, compare)
    for stat in stats:
        print(stat)
        if group == "traceback":
            print("\n".join(stat.traceback.format()))
)";

struct Blocks {
  Profile profile;
  Json json = Json::array();
};

// No file twice in one stack: with `cumulative`, tracemalloc counts a block again for each frame in
// the same line or file, so that sums exceed what there is; we count it once.
Blocks RandomBlocks(uint32_t seed, int64_t largest) {
  std::mt19937 random(seed);
  Blocks blocks;
  blocks.profile.processes.push_back(PythonProcess(1, "/nowhere"));
  for (int i = 0; i < 400; ++i) {
    std::vector<FrameId> stack;  // outermost first
    Json frames = Json::array();
    std::vector<char> files = {'a', 'b', 'c', 'd'};
    std::shuffle(files.begin(), files.end(), random);
    files.resize(1 + random() % files.size());
    for (char letter : files) {
      const std::string file = absl::StrCat("/nowhere/", std::string(1, letter), ".py");
      const int64_t line = 1 + random() % 5;
      stack.push_back(PythonFrame(&blocks.profile, file, "f", line));
      frames.insert(frames.begin(), Json::array({file, line}));
    }
    const int64_t size = random() % 8 == 0 ? 16 : static_cast<int64_t>(random() % largest);
    blocks.profile.AddSample({Stack(&blocks.profile, stack),
                              0,
                              Domain::kPythonObj,
                              0,
                              0,
                              {1, size, 1, size, 1, size, 0, 0}});
    blocks.json.push_back(Json::array({size, frames}));
  }
  return blocks;
}

std::string Output(const std::string& command) {
  std::string output;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  while (pipe != nullptr && fgets(buffer, sizeof buffer, pipe) != nullptr) output += buffer;
  return pipe != nullptr && pclose(pipe) == 0 ? output : "";
}

struct Case {
  const char* name;
  GroupBy by;
  bool cumulative;
  bool compare;
};

constexpr Case kCases[] = {
    {"lineno", GroupBy::kLine, false, false},         {"lineno", GroupBy::kLine, true, false},
    {"filename", GroupBy::kFile, false, false},       {"filename", GroupBy::kFile, true, false},
    {"traceback", GroupBy::kTraceback, false, false}, {"lineno", GroupBy::kLine, false, true},
    {"lineno", GroupBy::kLine, true, true},           {"filename", GroupBy::kFile, false, true},
    {"traceback", GroupBy::kTraceback, false, true},
};

std::string Ours(const Case& c, const Profile& before, const Profile& after) {
  View view;
  view.by = c.by;
  view.cumulative = c.cumulative;
  view.keep_unchanged = true;
  const absl::StatusOr<Table> table =
      c.compare ? Compare(before, after, view) : Aggregate(after, view);
  EXPECT_TRUE(table.ok()) << table.status();
  RenderInput input;
  input.profile = &after;
  input.old_profile = &before;
  input.table = &*table;
  input.top = 0;
  return absl::StrCat("== ", c.name, c.cumulative ? " True" : " False",
                      c.compare ? " True\n" : " False\n", RenderTracemalloc(input));
}

TEST(Tracemalloc, LinesAreTheModulesOwn) {
  if (Output("python3 -c 'import tracemalloc; print(1)'") != "1\n") {
    GTEST_SKIP() << "no python3 with tracemalloc to compare with";
  }
  const std::string folder = ::testing::TempDir() + "/tracemalloc." + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  std::ofstream(folder + "/witness.py") << kWitness;
  // Small sizes make ties, large ones every unit.
  for (int64_t largest : {int64_t{40}, int64_t{30000}, int64_t{1} << 34}) {
    const Blocks before = RandomBlocks(1, largest), after = RandomBlocks(2, largest);
    Json data{{"old", before.json}, {"new", after.json}, {"views", Json::array()}};
    std::string ours;
    for (const Case& c : kCases) {
      data["views"].push_back({c.name, c.cumulative, c.compare});
      ours += Ours(c, before.profile, after.profile);
    }
    std::ofstream(folder + "/data.json") << data.dump();
    const std::string theirs = Output("python3 " + folder + "/witness.py " + folder + "/data.json");
    ASSERT_GT(theirs.size(), 10000u);
    EXPECT_EQ(ours, theirs);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace memtrace
