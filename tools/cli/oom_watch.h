// Whether the kernel's OOM killer struck in the control group of a program.
//
// The kernel counts that for each group (memory.events, or memory.oom_control of the first
// version), and tells nobody which process it chose: what is known is that one of the group was
// ended while the program ran. A process may change its group, and when it has ended the first
// version has forgotten which one it was in: so it is sampled while it runs.
#ifndef MEMTRACE_TOOLS_CLI_OOM_WATCH_H_
#define MEMTRACE_TOOLS_CLI_OOM_WATCH_H_

#include <cstdint>
#include <string>
#include <vector>

namespace memtrace {

// Where a hierarchy of control groups with memory in it is mounted.
struct GroupMount {
  std::string folder;
  std::string root;      // the group that is seen there
  bool unified = false;  // the second version
};

// Of the text of /proc/PID/mountinfo.
std::vector<GroupMount> MemoryMounts(const std::string& mountinfo);
// Folders of the groups that the text of /proc/PID/cgroup names, as far as they are mounted.
std::vector<std::string> MemoryGroups(const std::string& cgroup,
                                      const std::vector<GroupMount>& mounts);

class OomWatch {
 public:
  void Sample(int32_t pid);
  // "out of memory: ..." when it has struck since the first sample; else "".
  std::string Struck() const;

 private:
  struct Group {
    std::string folder;
    int64_t kills;  // when it was first seen
  };

  std::vector<GroupMount> mounts_;
  std::string last_text_;
  std::vector<Group> groups_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_OOM_WATCH_H_
