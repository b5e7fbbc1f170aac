// Snapshots of one process at regular times: `memtrace snapshot --every 10s --count 6`.
//
// Guarantees: every file is whole, whenever the series is ended; the times do not drift (a moment
// that has passed while a snapshot was written is left out); after an exec, or when a pid is used
// again, the series ends, since that is another process. The end of the process and Ctrl-C end it,
// too, without an error.

#ifndef MEMTRACE_TOOLS_CLI_SERIES_H_
#define MEMTRACE_TOOLS_CLI_SERIES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/model/snapshot_file.h"
#include "tools/read/load.h"
#include "tools/read/processes.h"

namespace memtrace {

struct SeriesOptions {
  absl::Duration every;
  int count = 0;       // 0: until the process ends
  std::string output;  // "leak" or "leak.mtr": leak-001.mtr, leak-002.mtr, ...
  bool quiet = false;
  LoadOptions load;
  WriteOptions write;
};

absl::Status TakeSeries(const RegionEntry& entry, const SeriesOptions& options);

// "10s", "1.5m", "500ms", "1h", and "10" for seconds.
absl::StatusOr<absl::Duration> ParsePeriod(const std::string& text);

// ("leak.mtr", 7, 20) -> "leak-007.mtr"
std::string SeriesName(const std::string& output, int number, int count);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_SERIES_H_
