// The stream of a snapshot file as plain numbers: what the reader's two steps hand over.
//
// The stream is read field by field, so that neither the file nor the whole message is ever held in
// memory (ReadRawProfile). References may point forward (samples come before locations and
// strings), so samples are first kept as numbers and resolved when the stream has ended
// (BuildProfile). Nothing in a RawProfile has been checked but the range of values; BuildProfile
// checks every number before it is used as an index.
//
// Of a stack only what differs from the sample before is kept: neighbours share their outer frames,
// and of a deep recursion's each would hold nearly all of them.
//
// Both steps charge what they keep to one ReadBudget. Deques do not double: what is kept is what is
// needed.
//
// Errors: InvalidArgument with what is damaged, Unimplemented for a newer format; neither names the
// file.

#ifndef MEMTRACE_TOOLS_MODEL_SNAPSHOT_RAW_H_
#define MEMTRACE_TOOLS_MODEL_SNAPSHOT_RAW_H_

#include <google/protobuf/io/coded_stream.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "profile.pb.h"
#include "tools/model/profile.h"
#include "tools/model/read_budget.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {

// No honest program allocates as much; and sums of such figures stay far from overflow.
inline constexpr int64_t kMaxSnapshotValue = int64_t{1} << 60;

inline bool IsOutOfRange(int64_t value) {
  return value > kMaxSnapshotValue || value < -kMaxSnapshotValue;
}

struct RawLocation {
  uint64_t id;
  uint64_t mapping;
  uint64_t address;
  size_t lines_end;  // its lines: from the previous location's end to here
};

struct RawLine {
  uint64_t function;
  int64_t line;
};

struct RawFunction {
  uint64_t id;
  int64_t name;
  int64_t filename;
  int64_t start_line;
};

struct RawSample {
  uint32_t shared;       // outermost locations that are the same as the previous sample's
  size_t locations_end;  // its other ones, outermost first, end here
  size_t values_end;
  int64_t domain_key;  // label of another program's profile: key and text, 0: none
  int64_t domain;
};

struct RawProfile {
  std::optional<pprof::Extension> header;
  pprof::Columns columns;
  std::vector<std::pair<int64_t, int64_t>> sample_types;
  std::deque<RawSample> samples;
  std::deque<uint64_t> sample_locations;
  std::deque<int64_t> sample_values;
  std::deque<std::pair<uint64_t, int64_t>> mappings;  // id, file name
  std::deque<RawLocation> locations;
  std::deque<RawLine> lines;
  std::deque<RawFunction> functions;
  std::deque<std::string> strings;
  int64_t time_nanos = 0;
  int64_t duration_nanos = 0;
};

absl::StatusOr<RawProfile> ReadRawProfile(google::protobuf::io::CodedInputStream* in,
                                          const ReadOptions& options, ReadBudget* budget);

absl::StatusOr<Profile> BuildProfile(const RawProfile& raw, const ReadOptions& options,
                                     ReadBudget* budget);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_SNAPSHOT_RAW_H_
