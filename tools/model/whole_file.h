// Writing a file whole or not at all.
//
// The content goes to a fresh file of the same folder (O_EXCL, so that no link is followed), is
// flushed, and then takes the name in one step. An existing file is refused unless `replace`.
// A failure leaves nothing behind. A path that is no regular file (/dev/stdout, a pipe) is written
// to directly: a rename would put a file in its place.
//
// Errors begin with the path and say what to do.

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

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_WHOLE_FILE_H_
