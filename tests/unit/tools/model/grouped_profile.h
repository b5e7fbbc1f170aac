// Profiles of processes that are added up.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_MODEL_GROUPED_PROFILE_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_MODEL_GROUPED_PROFILE_H_

#include <string>

#include "tests/unit/tools/model/random_profile.h"
#include "tools/model/process_groups.h"

namespace memtrace {

// One process with one line for each of two domains.
inline Profile OneProcess(int32_t pid, int64_t blocks, const std::string& folder = "/home/me/app") {
  Profile profile;
  Process process = PythonProcess(pid, folder);
  process.peak_bytes = blocks * 110;
  process.losses = {{"region_full", 1, 10}};
  process.threads.push_back({pid + 1, "worker", 1, false});
  profile.processes.push_back(process);
  const FrameId frame = PythonFrame(&profile, "/home/me/app/main.py", "work", 7);
  for (Domain domain : {Domain::kPythonObj, Domain::kMalloc}) {
    Sample sample;
    sample.node = Stack(&profile, {frame});
    sample.domain = domain;
    sample.thread = domain == Domain::kMalloc ? 1 : 0;
    const int64_t size = domain == Domain::kMalloc ? 100 : 10;
    sample.values = {blocks * 2, blocks * 2 * size, blocks, blocks * size,
                     blocks,     blocks * size,     0,      0};
    profile.AddSample(sample);
  }
  return profile;
}

// Process 1, and `count` more, 101 and so on, in a group: the i-th has i blocks in each domain.
inline Profile Grouped(int count) {
  ProcessGroups groups;
  for (int i = 1; i <= count; ++i) groups.Add(OneProcess(100 + i, i));
  Profile profile = OneProcess(1, 1000);
  profile.Merge(groups.profile());
  return profile;
}

}  // namespace memtrace

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_MODEL_GROUPED_PROFILE_H_
