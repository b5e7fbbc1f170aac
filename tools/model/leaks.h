// What grows and goes on growing, over many snapshots of one process.
//
// A row is listed when its live bytes grow in every interval between two snapshots, the last one
// included: a cache that has filled and growth that has stopped are not leaks; they are counted
// (`LeakTable::stopped`). The slopes are fits over all snapshots (tools/model/trend.h). The time
// axis is the process's own running time, so that neither the order of the arguments nor a clock
// that was set matters.
//
// Guarantees
//  1. The result does not depend on the order in which the snapshots are added.
//  2. Without `cumulative`, all rows' figures of a snapshot, listed or not, sum to its total.
//
// Snapshots are taken in one at a time and only the latest is kept, so that a hundred of them need
// no more memory than two. A snapshot of several processes needs View::process, unless one before
// it has said which one is meant.
//
// Errors: InvalidArgument for a view without sense and for fewer than three snapshots,
// FailedPrecondition for snapshots of different processes, of the same moment, or of no known
// process. Threading: none.

#ifndef MEMTRACE_TOOLS_MODEL_LEAKS_H_
#define MEMTRACE_TOOLS_MODEL_LEAKS_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/model/aggregate.h"
#include "tools/model/grouping.h"
#include "tools/model/trend.h"

namespace memtrace {

struct LeakMoment {
  std::string name;  // of the snapshot, as the user gave it
  int64_t taken_realtime_ns = 0;
  int64_t elapsed_ns = 0;  // since the process began
  int64_t bytes = 0;       // of all rows
  int64_t blocks = 0;
};

struct LeakRow {
  Row row;                             // values: at the end; old_values: at the beginning
  std::vector<int64_t> bytes, blocks;  // one for each moment
  Trend bytes_trend, blocks_trend;
  double lately = 0;  // bytes a second, in the last interval alone
};

struct LeakTable {
  View view;
  std::vector<LeakMoment> moments;  // by time, at least 3
  std::vector<LeakRow> rows;        // steepest first
  Trend total_bytes, total_blocks;
  size_t stopped = 0;  // rows that hold more than at the beginning but did not always grow
};

class LeakFinder {
 public:
  explicit LeakFinder(const View& view) : view_(view), grouping_(view_) {}

  absl::Status Add(Profile profile, const std::string& name);
  absl::StatusOr<LeakTable> Finish();  // once

  const Profile& latest() const { return latest_; }  // the last one by time

 private:
  using Figures = std::vector<std::pair<int64_t, int64_t>>;  // bytes, blocks by row
  struct Column {
    LeakMoment moment;
    Figures figures;
  };

  absl::StatusOr<uint32_t> PickProcess(const Profile& profile, const std::string& name) const;
  absl::Status CheckSeries() const;
  // One row's figures at all moments, without its trends.
  LeakRow RowAt(size_t index, Row row, const std::vector<double>& seconds) const;

  const View view_;
  Grouping grouping_;
  Process process_;  // of the first snapshot
  Profile latest_;
  std::vector<Column> columns_;
};

// --fail-on of the leak view.
//
//   limit = [ "total:" ] [ ">" | ">=" ] amount "/" ( "s" | "min" | "h" | "d" )
//   amount = a number with a unit of bytes, or "blocks", as in tools/model/threshold.h
struct GrowthLimit {
  std::string text;
  bool total = false;  // of all memory together; else of any one row
  bool or_equal = false;
  bool in_blocks = false;
  double per_second = 0;
};

absl::StatusOr<GrowthLimit> ParseGrowthLimit(absl::string_view text);

// The rows that break the limit, steepest first; for a total that breaks it nothing but that.
struct GrowthBreach {
  GrowthLimit limit;
  double per_second = 0;
  double confidence = 0;
  const Row* row = nullptr;  // null: the total
  size_t rows = 0;           // how many broke it
};
std::optional<GrowthBreach> CheckGrowth(const GrowthLimit& limit, const LeakTable& table);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_LEAKS_H_
