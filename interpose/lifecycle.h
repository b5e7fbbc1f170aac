// Starting, being forked, ending.

#ifndef MEMTRACE_INTERPOSE_LIFECYCLE_H_
#define MEMTRACE_INTERPOSE_LIFECYCLE_H_

namespace memtrace {

// Starts recording, or sets a forked child up, if that has not been done. False: not recording (not
// possible, not wanted, or just being started).
bool OpenGate();

bool IsRecording();

// Writes command, executable and working directory to the region's header.
void DescribeProcess(bool forked);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_LIFECYCLE_H_
