// A process as a message of a snapshot file, both ways (core/FORMAT.md, The extension).
//
// Errors: InvalidArgument with what is damaged.

#ifndef MEMTRACE_TOOLS_MODEL_PROCESS_MESSAGE_H_
#define MEMTRACE_TOOLS_MODEL_PROCESS_MESSAGE_H_

#include "absl/status/statusor.h"
#include "profile.pb.h"
#include "tools/model/profile.h"

namespace memtrace {

void ToProto(const Process& process, pprof::Process* out);

absl::StatusOr<Process> FromProto(const pprof::Process& in);

// Whether the samples of a process are, as it says, those of a group in the header.
bool HasItsGroup(const pprof::Process& process, const pprof::Extension& header);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_PROCESS_MESSAGE_H_
