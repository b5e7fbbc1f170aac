// Profiles for tests: random ones from a seed, and a small one that a person can follow.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_MODEL_RANDOM_PROFILE_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_MODEL_RANDOM_PROFILE_H_

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/model/profile.h"

namespace memtrace {

inline FrameId PythonFrame(Profile* profile, const std::string& file, const std::string& function,
                           int64_t line) {
  const FunctionId id = profile->InternFunction(
      {profile->InternString(function), profile->InternString(file), line > 10 ? line - 10 : 1});
  return profile->InternFrame({FrameKind::kPython, id, line, 0, 0});
}

inline FrameId NativeFrame(Profile* profile, const std::string& module, const std::string& function,
                           uint64_t address) {
  FunctionId id = 0;
  if (!function.empty()) {
    id = profile->InternFunction(
        {profile->InternString(function), profile->InternString(module), 0});
  }
  return profile->InternFrame({FrameKind::kNative, id, 0, profile->InternString(module), address});
}

// A stack from its outermost frame to its innermost.
inline NodeId Stack(Profile* profile, const std::vector<FrameId>& outermost_first) {
  NodeId node = 0;
  for (FrameId frame : outermost_first) node = profile->InternNode(node, frame);
  return node;
}

inline Process PythonProcess(int32_t pid, const std::string& folder) {
  Process process;
  process.pid = pid;
  process.parent_pid = 1;
  process.command = {"python", "main.py"};
  process.executable = "/usr/bin/python3.12";
  process.working_dir = folder;
  process.python = "3.12.1";
  process.python_text = "3.12.1 (main)";
  process.start_realtime_ns = 1700000000000000000;
  process.duration_ns = 1800000000;
  process.end = EndKind::kExited;
  process.threads = {{pid, "python", 1, false}};
  return process;
}

inline Profile RandomProfile(uint32_t seed, int samples = 200) {
  std::mt19937 random(seed);
  const auto pick = [&random](int n) { return static_cast<int>(random() % n); };
  Profile profile;
  profile.tool_version = "0.1.0";
  profile.taken_realtime_ns = 1700000001000000000 + pick(1000);
  for (int i = 0; i < 2; ++i) {
    Process process = PythonProcess(4711 + i, i == 0 ? "/home/me/app" : "/srv/app");
    process.threads.push_back({4800 + i, "worker \xc3\xa9", 3, true});
    process.losses = {{"region_full", 3, 4096}};
    process.timeline = {{0, 0, 100, -1}, {1000000, 50, 200, 4096}};
    process.modules = {
        {"/lib/libc.so.6", "abcdef0123", 0x7f0000000000, 0x7f0000200000, 0x7f0000000000, 1}};
    Ledger ledger;
    ledger.taken_realtime_ns = 1700000000500000000;
    ledger.rss_bytes = 5000;
    ledger.live_bytes = 3500;
    ledger.why = i == 0 ? "" : "it is late";
    ledger.parts = {{LedgerKind::kLive, 3000, {}},
                    {LedgerKind::kFiles, 1500, {{"/lib/libc.so.6", 1000}, {"x\xff", 1}}},
                    {LedgerKind::kUnexplained, 500, {}}};
    ledger.arenas = 4;
    ledger.pinned_arenas = 2;
    ledger.pinned_free_bytes = 77;
    ledger.pins = {{"main.py:3", 2, 64}};
    process.ledgers = {ledger};
    process.peak_bytes = 123456;
    process.peak_bound = i;
    process.inherited_bytes = i * 100;
    process.unwind_method = i == 0 ? "" : "incremental";
    process.stacks_checked = i * 1000;
    process.stacks_different = i * 2;
    process.stacks_cut = i * 3;
    process.end = static_cast<EndKind>(pick(6));
    profile.processes.push_back(process);
  }
  const std::string files[] = {"/home/me/app/main.py",
                               "load.py",
                               "/usr/lib/python3.12/json/decoder.py",
                               "/home/me/app/.venv/lib/python3.12/site-packages/pandas/io.py",
                               "<frozen importlib._bootstrap>",
                               "/opt/other/x\xff.py"};
  for (int i = 0; i < samples; ++i) {
    std::vector<FrameId> frames;
    for (int depth = pick(6); depth > 0; --depth) {
      frames.push_back(PythonFrame(&profile, files[pick(6)], absl::StrCat("f", pick(4)), pick(40)));
    }
    Sample sample;
    sample.node = Stack(&profile, frames);
    sample.process = pick(2);
    sample.thread = pick(2);
    sample.domain = static_cast<Domain>(1 + pick(5));
    if (sample.domain == Domain::kMalloc && pick(4) != 0) {
      sample.caller = NativeFrame(&profile, pick(2) ? "/lib/libc.so.6" : "/opt/lib/libx.so",
                                  pick(2) ? "" : "make", 0x1000 + 16 * pick(8));
    }
    const int64_t count = pick(10);
    sample.values = {count * 4, count * 400, count,   count * 100,
                     count * 2, count * 200, pick(3), pick(300)};
    if (i % 3 != 0) sample.label = profile.InternString(i % 3 == 1 ? "load" : "load/\xc3\xa9");
    profile.AddSample(sample);
  }
  profile.source_lines = {{profile.InternString(files[0]), 3, "x = [0] * 10"}};
  return profile;
}

// /home/me/app/main.py:4 calls pandas (10 blocks, 12,400,000 bytes at peak) and holds something
// itself; a thread's worth of malloc has no Python frame.
inline Profile SmallProfile() {
  Profile profile;
  profile.tool_version = "0.1.0";
  profile.taken_realtime_ns = 1700000002000000000;
  Process process = PythonProcess(4711, "/home/me/app");
  process.peak_bytes = 15000000;
  profile.processes.push_back(process);
  const FrameId main4 = PythonFrame(&profile, "/home/me/app/main.py", "<module>", 4);
  const FrameId main9 = PythonFrame(&profile, "/home/me/app/main.py", "<module>", 9);
  const FrameId pandas =
      PythonFrame(&profile, "/usr/lib/python3.12/site-packages/pandas/io.py", "read_csv", 120);
  const FrameId caller = NativeFrame(&profile, "/opt/lib/libx.so", "make", 0x1234);
  profile.AddSample({Stack(&profile, {main4, pandas}),
                     0,
                     Domain::kPythonObj,
                     0,
                     0,
                     {20, 13000000, 5, 5000000, 10, 12400000, 1, 64}});
  profile.AddSample(
      {Stack(&profile, {main4}), 0, Domain::kPythonMem, 0, 0, {4, 400, 4, 400, 4, 400, 0, 0}});
  profile.AddSample({Stack(&profile, {main9}),
                     0,
                     Domain::kPythonObj,
                     0,
                     0,
                     {41, 1600000, 2, 1200000, 41, 1600000, 0, 0}});
  profile.AddSample(
      {Stack(&profile, {main9}), caller, Domain::kMalloc, 0, 0, {2, 2000, 2, 2000, 2, 2000, 0, 0}});
  profile.AddSample({0, caller, Domain::kMalloc, 0, 0, {7, 997600, 0, 0, 7, 997600, 0, 0}});
  profile.source_lines = {
      {profile.InternString("/home/me/app/main.py"), 4, "df = pd.read_csv(p)"},
      {profile.InternString("/home/me/app/main.py"), 9, "df['OrderYear'] = years(df)"}};
  return profile;
}

}  // namespace memtrace

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_MODEL_RANDOM_PROFILE_H_
