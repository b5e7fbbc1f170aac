// The folder of one `memtrace run`: the regions of all processes that the program starts.
//
// Invariants: the folder belongs to this user alone (0700), inside the folder where regions are
// kept, so that `memtrace list` and `memtrace snapshot` find them. It is removed at the end, unless
// a process in it still lives or its regions could not be saved.
#ifndef MEMTRACE_TOOLS_CLI_SESSION_H_
#define MEMTRACE_TOOLS_CLI_SESSION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/read/processes.h"

namespace memtrace {

// Makes the folder in the first place that can hold regions; its path. `refused` (optional): why
// that is not the first place of all, one sentence; else left as it is.
absl::StatusOr<std::string> MakeSession(std::string* refused = nullptr);

// A path of the library that LD_PRELOAD can hold: the loader splits at spaces and colons, so a path
// with one of them is reached through a link in the session's folder.
absl::StatusOr<std::string> PreloadablePath(const std::string& library, const std::string& session);

// Removes the folder with its regions.
void RemoveSession(const std::string& session);

// The regions of the session: first the last image of `main_pid`, then the others by age.
std::vector<RegionEntry> SessionRegions(const std::string& session, int32_t main_pid);

// Whether this is the folder of a `memtrace run` that is gone: run-PID-….
bool SessionIsOver(const std::string& folder);

// The snapshots of ended processes in it (ended_processes.h).
std::vector<std::string> EndedFiles(const std::string& folder);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_SESSION_H_
