// How samples become rows; aggregate.h is the way in.
//
// One Grouping takes one profile, or an old and a new one, or a series of them: rows meet by their
// keys. Per profile a Walker remembers, for each (process, frame) and each (process, stack), what
// was worked out before, so that the work grows with the number of different frames and not with
// the samples' depth.

#ifndef MEMTRACE_TOOLS_MODEL_GROUPING_H_
#define MEMTRACE_TOOLS_MODEL_GROUPING_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "tools/model/aggregate.h"

namespace memtrace {

class Grouping {
 public:
  enum Column { kOld, kNew };

  explicit Grouping(const View& view) : view_(view) {}

  absl::Status Add(const Profile& profile, Column column);
  // The same for processes that are picked already.
  void AddProcesses(const Profile& profile, const std::vector<uint32_t>& picked, Column column);

  // For a series: the new column of all rows so far, by row; it begins anew at zero.
  std::vector<Values> TakeColumn();
  Values TakeSelected();  // their sum, likewise

  // Rows and sums, unordered.
  void MoveTo(Table* table) &&;

 private:
  friend class Walker;

  uint32_t RowFor(std::string key, std::vector<PlaceRef> frames, std::string label);
  void AddTo(uint32_t row, const Sample& sample, Column column);
  void Take(uint32_t row, const Values& values, Column column);

  const View& view_;
  std::vector<Row> rows_;
  absl::flat_hash_map<std::string, uint32_t> row_ids_;
  uint32_t NumberOfStack(const std::vector<uint32_t>& places);

  absl::flat_hash_map<std::string, uint32_t> place_ids_;  // numbers for traceback keys
  absl::flat_hash_map<uint64_t, uint32_t> stack_ids_;     // callers' number << 32 | place
  Values selected_[2], whole_[2];
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_GROUPING_H_
