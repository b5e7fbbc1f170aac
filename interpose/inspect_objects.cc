// What inspect.h offers about the inside of objects.

#define MEMTRACE_BUILDING_LIBRARY
#include "interpose/inspect.h"

// What the Python package cannot do itself at the speed that a million objects ask for: looking
// into them. Nothing is allocated here and nothing locked.
extern "C" void memtrace_read_words(const uint64_t* addresses, uint64_t count, int64_t offset,
                                    uint64_t* words) {
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t at = addresses[i];
    words[i] = at == 0 ? 0 : *reinterpret_cast<const uint64_t*>(at + static_cast<uint64_t>(offset));
  }
}
