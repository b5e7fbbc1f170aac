// Many processes of a few programs, added up by program.
//
// A build or a shell script starts thousands of short processes. Each keeps its figures, by domain;
// their lines are added up, so that the size of a profile grows with the number of programs and not
// with that of processes. Two processes are of one program when executable, working folder, Python
// version, script (or module) and recording options agree.
//
// Bounds: kMostMembers are listed one by one, further ones are in their group only; beyond
// kMostGroups programs, working folders are not told apart any more, and beyond twice as many
// everything is one group.
//
// Threading: none.

#ifndef MEMTRACE_TOOLS_MODEL_PROCESS_GROUPS_H_
#define MEMTRACE_TOOLS_MODEL_PROCESS_GROUPS_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "tools/model/profile.h"

namespace memtrace {

class ProcessGroups {
 public:
  static constexpr uint32_t kMostMembers = 20000;
  static constexpr uint32_t kMostGroups = 256;

  // The profile of one process.
  void Add(const Profile& one);

  bool empty() const { return profile_.processes.empty(); }
  // Groups, each with its members somewhere behind it.
  const Profile& profile() const { return profile_; }

 private:
  uint32_t GroupOf(const Process& process);

  Profile profile_;
  absl::flat_hash_map<std::string, uint32_t> groups_;  // key -> index of the process
  uint32_t members_ = 0;
};

// How many processes a profile tells of, members of groups included.
uint32_t CountProcesses(const Profile& profile);

// What a group is called: "cc1plus, 212 processes".
std::string GroupText(const Process& group);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_PROCESS_GROUPS_H_
