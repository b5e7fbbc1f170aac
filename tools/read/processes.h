// What is being traced on this machine: regions found, and what became of their processes.
//
// Role. Looks into the folders where the library puts regions (and the session folders of
// `memtrace run` in them), reads the headers, and asks the kernel which processes still live. A pid
// that was given to another process is told apart by its start time.
//
// Regions that cannot be read are listed too, with the reason, so that `clean` and a puzzled user
// can see them. Regions still being made are left out.
//
// Threading: none; nothing is kept between calls.

#ifndef MEMTRACE_TOOLS_READ_PROCESSES_H_
#define MEMTRACE_TOOLS_READ_PROCESSES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tools/model/profile.h"

namespace memtrace {

struct RegionEntry {
  std::string path;
  absl::Status status;  // why it cannot be read; the rest is then empty
  int32_t pid = 0;
  int32_t parent_pid = 0;
  uint64_t process_start = 0;
  uint32_t exec_index = 0;
  EndKind state = EndKind::kUnknown;  // kRunning, kExited, kDied or kReplacedByExec
  std::vector<std::string> command;
  std::string executable;
  int64_t now_bytes = 0;
  int64_t peak_bytes = 0;
  int64_t start_realtime_ns = 0;
  int64_t file_bytes = 0;  // what it takes up on tmpfs

  bool alive() const { return state == EndKind::kRunning; }
};

// The folders that the library tries in turn (core/places.h), existing or not.
std::vector<std::string> RegionRoots();

// Those that exist and are this user's, with the session folders in them.
std::vector<std::string> RegionFolders();

// All regions in those folders; oldest first.
std::vector<RegionEntry> FindRegions(const std::vector<std::string>& folders);

// One region; for a path given by the user. State takes no account of other regions.
RegionEntry DescribeRegion(const std::string& path);

// The regions that the user may mean by a pid or a name, best first: of each process only the image
// that it ran last; living ones before dead ones, younger before older.
std::vector<RegionEntry> MatchRegions(const std::vector<RegionEntry>& regions,
                                      absl::string_view pid_or_name);

// Field 22 of /proc/PID/stat; 0 when the process is gone or only a zombie.
uint64_t ProcessStart(int32_t pid);

// What people call the program: "main" for `python main.py`, "http.server" for
// `python -m http.server`, else the executable's own name.
std::string ProgramName(const std::vector<std::string>& command);

// The command line on one line, quoted as for a shell where needed.
std::string CommandText(const std::vector<std::string>& command);

// "running", "exited", "died", "replaced by exec".
absl::string_view StateText(EndKind state);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_PROCESSES_H_
