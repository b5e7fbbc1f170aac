// A profile from whatever the user names: a traced process, its region, or a snapshot file.
//
// Role. The one entrance for commands. A pid (or a program's name) means the traced process of this
// user, living or dead; a path is looked at by content, not by its name.
//
// Errors: a sentence that says what was looked for, where, and what to do next.

#ifndef MEMTRACE_TOOLS_READ_LOAD_H_
#define MEMTRACE_TOOLS_READ_LOAD_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/model/profile.h"
#include "tools/read/processes.h"
#include "tools/read/symbolize.h"

namespace memtrace {

struct LoadOptions {
  bool symbolize = true;  // native code that has no name so far gets one, where it can be found
  SymbolSources symbols;
};

absl::StatusOr<Profile> LoadProfile(const std::string& spec, const LoadOptions& options = {});

// A region that FindRegions or MatchRegions told of: decoded, with names, states and source lines.
absl::StatusOr<Profile> LoadRegion(const RegionEntry& entry, const LoadOptions& options = {});
absl::StatusOr<Profile> LoadRegion(const RegionEntry& entry, Symbolizer* symbolizer);

// What a pid, a name or a region's path stands for. kNotFound when nothing does.
absl::StatusOr<RegionEntry> ResolveRegion(const std::string& spec);

// Several regions as one profile, in the given order. Those that cannot be read are left out, and
// the reasons appended to *problems.
Profile LoadRegions(const std::vector<RegionEntry>& entries, std::vector<std::string>* problems);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_LOAD_H_
