// Snapshot files: a profile on disk, in the format of core/FORMAT.md.
//
// Role. The only reader and the only writer of snapshot files. What is read was written by anybody:
// every index is checked, and nothing is believed.
//
// Guarantees
//  1. ReadSnapshotFile(WriteSnapshotFile(p)) holds the same processes, samples and source lines as
//     p, in the same order. (Strings, frames and stacks that no sample uses are not kept.)
//  2. The same profile gives the same bytes: no clock, no random order.
//  3. A file appears whole or not at all: it is written aside in the same folder, then renamed.
//  4. Reading needs memory in proportion to the file, whatever its content: see read_budget.h.
//
// Other programs' heap profiles in the pprof format (Go's, jemalloc's converted ones) are read too,
// as far as their sample types are among the six. Their processes are empty.
//
// Errors: NotFound, PermissionDenied, AlreadyExists (no force), InvalidArgument (not a snapshot, or
// a damaged one), Unimplemented (made by a newer memtrace). Messages begin with the path.
// Threading: none needed; no state.

#ifndef MEMTRACE_TOOLS_MODEL_SNAPSHOT_FILE_H_
#define MEMTRACE_TOOLS_MODEL_SNAPSHOT_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/model/profile.h"

namespace memtrace {

inline constexpr uint32_t kSnapshotSchemaVersion = 1;

struct ReadOptions {
  bool header_only = false;  // processes, source lines and times; no samples
};

struct WriteOptions {
  bool force = false;         // replace an existing file
  bool thread_label = true;   // label samples by thread when there is more than one
  bool strict_pprof = false;  // leave the extension out, for readers that cannot skip it
};

absl::StatusOr<Profile> ReadSnapshotFile(const std::string& path, const ReadOptions& options = {});

// "-" writes to standard output.
absl::Status WriteSnapshotFile(const Profile& profile, const std::string& path,
                               const WriteOptions& options = {});

// The same from and to memory.
absl::StatusOr<Profile> ReadSnapshotBytes(const std::string& bytes,
                                          const ReadOptions& options = {});
absl::StatusOr<std::string> SnapshotBytes(const Profile& profile, const WriteOptions& options = {});

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_SNAPSHOT_FILE_H_
