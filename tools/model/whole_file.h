// Writing a file whole or not at all.
//
// The content goes to a fresh file of the same folder and then takes the name in one step, so that
// whoever looks sees the old file or the new one. Until then the file has no name (O_TMPFILE), and
// a writer that is killed leaves nothing. To replace an existing file, and on file systems that
// always want a name, it is PATH.PID-N.part for a moment, or for as long as it is written; what
// killed writers left of those is removed by the next one that writes the same path.
//
// All this holds for writers that fail or are killed. Nothing is forced onto the disk: what a power
// failure leaves is the file system's business.
//
// An existing file is refused unless `replace`. A failure leaves nothing behind. A path that is no
// regular file (/dev/stdout, a pipe) is written to directly: a rename would put a file in its
// place.
//
// A limit on the size of files (`ulimit -f`) is an error like any other: its signal is ignored
// meanwhile.
//
// Errors begin with the path and say what to do. Threading: none; the signal's action is the
// process's.

#ifndef MEMTRACE_TOOLS_MODEL_WHOLE_FILE_H_
#define MEMTRACE_TOOLS_MODEL_WHOLE_FILE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace memtrace {

// `fill` writes the content to the descriptor. "-" is standard output.
absl::Status WriteWholeFile(const std::string& path, bool replace,
                            const std::function<absl::Status(int fd)>& fill);

absl::Status WriteWholeFile(const std::string& path, bool replace, absl::string_view content);

// All bytes to the descriptor, over short writes and interruptions.
absl::Status WriteAll(int fd, absl::string_view bytes);

// What a `fill` returns when a write failed: why, and what to do.
absl::Status WriteError(int error);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_WHOLE_FILE_H_
