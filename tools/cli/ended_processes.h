// The processes of a `memtrace run` that have ended: their regions become snapshots, so that
// thousands of children fill neither tmpfs nor the report.
//
// While the program runs: when kMostRegions regions of ended processes lie in the session's folder,
// they are read, written beside them as ended-NNN.mtr and ended-groups.mtr, and removed. The
// program itself (what it ran before exec, too) and processes that live are left alone.
//
// Processes keep their own lines as long as these are at most kMostRecords, and kLeastKept
// processes in any case; those of further ones are added up by program (model/process_groups.h).
//
// If memtrace itself is killed, the files stay with the regions that are left. Killed between
// writing a file and removing its regions, it leaves a process in both.
//
// Threading: none. Poll() returns within about kSliceNanos.

#ifndef MEMTRACE_TOOLS_CLI_ENDED_PROCESSES_H_
#define MEMTRACE_TOOLS_CLI_ENDED_PROCESSES_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "tools/model/process_groups.h"
#include "tools/model/profile.h"
#include "tools/read/processes.h"
#include "tools/read/symbolize.h"

namespace memtrace {

class EndedProcesses {
 public:
  static constexpr size_t kMostRegions = 64;
  static constexpr size_t kMostRecords = 300000;  // samples
  static constexpr size_t kLeastKept = 32;        // processes
  static constexpr int64_t kSliceNanos = 50000000;

  EndedProcesses(std::string session, int32_t main_pid);

  // To be called every few ticks.
  void Poll();

  // Reads what is left and adds all to `profile`. Reasons of what could not be read go to
  // *problems.
  void Finish(Profile* profile, std::vector<std::string>* problems);

 private:
  void Look();
  void Take(const RegionEntry& entry);
  void Flush();
  bool Write(const Profile& profile, const std::string& name);

  const std::string session_;
  const int32_t main_pid_;
  std::unique_ptr<Symbolizer> symbolizer_;
  size_t look_at_ = kMostRegions;     // files in the folder that make another look worth while
  std::deque<RegionEntry> waiting_;   // to be read; oldest first
  Profile batch_;                     // read, with their own lines, not written yet
  ProcessGroups groups_;              // read, added up
  std::vector<std::string> done_;     // regions of both
  std::vector<std::string> written_;  // files
  std::vector<Profile> unwritten_;    // what could not be written: no room
  absl::flat_hash_set<std::string> refused_;
  std::vector<std::string> problems_;
  size_t records_ = 0;
  size_t kept_ = 0;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_ENDED_PROCESSES_H_
