// Names for the native frames of a profile that has only addresses.
//
// Role. A snapshot may be taken without names (`memtrace snapshot --no-symbolize`), or where the
// files with the names were not. It has the modules' build-ids and the addresses in them, so they
// can be looked up later and elsewhere.
//
// Invariants
//  1. What has a name keeps it, unless `lines` is asked for and now a source line is known, too.
//  2. Where two builds of one module are in the profile, its frames do not say of which they are:
//     they get no names.
//  3. The figures do not change. A frame may become several: calls that were inlined there.
//  4. The stacks grow to kMostGrowth times their nodes at most; beyond that calls that were inlined
//     are left out.

#ifndef MEMTRACE_TOOLS_READ_NAME_FRAMES_H_
#define MEMTRACE_TOOLS_READ_NAME_FRAMES_H_

#include "tools/model/profile.h"
#include "tools/read/symbolize.h"

namespace memtrace {

inline constexpr size_t kMostGrowth = 8;

Profile NameFrames(Profile profile, Symbolizer* symbolizer, bool lines = false);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_NAME_FRAMES_H_
