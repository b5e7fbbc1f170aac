#include "tools/render/summary.h"

#include "absl/strings/str_format.h"
#include "tools/render/units.h"

namespace memtrace {

std::string RenderRunSummary(const Profile& profile, const SummaryOptions& options) {
  const Values totals = profile.Totals();
  return absl::StrFormat("memtrace  now %s   %s allocations\n", FormatSize(totals.inuse_bytes),
                         FormatCount(totals.alloc_objects));
}

}  // namespace memtrace
