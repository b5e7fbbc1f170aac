// From a region to the profile of one process.
//
// Role. The sole judge of a region's bytes: whatever passes here is a well-formed Profile. Every id
// is checked against its section before it is followed, and chains end because a parent's id must
// be smaller than its child's. Texts come out as valid UTF-8.
//
// Errors: kDataLoss with the place and what is wrong there. Never a crash, and never more time or
// memory than in proportion to what the file really takes up.
//
// Threading: as RegionFile. The traced process may go on meanwhile: see tools/read/figures.h for
// what that means for the figures.

#ifndef MEMTRACE_TOOLS_READ_DECODE_H_
#define MEMTRACE_TOOLS_READ_DECODE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "tools/model/profile.h"
#include "tools/read/region_file.h"
#include "tools/read/symbolize.h"

namespace memtrace {

struct DecodeOptions {
  Symbolizer* symbolizer = nullptr;  // null: native code is left as module and address
  EndKind end = EndKind::kUnknown;   // what the kernel says of the process; kUnknown: as recorded
};

absl::StatusOr<Profile> DecodeRegion(const RegionFile& region, const DecodeOptions& options = {});

// Stable name of a kind of loss, e.g. "region_full".
std::string LossName(uint32_t reason);

// "3.12.1" from PY_VERSION_HEX; empty for 0.
std::string PythonVersionText(uint32_t hex);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_DECODE_H_
