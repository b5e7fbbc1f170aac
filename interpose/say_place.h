// Where the live region is, said in one line when it is not where it should be.

#ifndef MEMTRACE_INTERPOSE_SAY_PLACE_H_
#define MEMTRACE_INTERPOSE_SAY_PLACE_H_

#include "interpose/os/os.h"

namespace memtrace {

// Nothing when the region is in the first folder tried.
void SayPlace(const os::RegionFile& file);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_SAY_PLACE_H_
