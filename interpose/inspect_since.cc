// What inspect.h offers about the age of a site.

#define MEMTRACE_BUILDING_LIBRARY
#include "interpose/generations.h"
#include "interpose/inspect.h"

int memtrace_is_since(uint32_t site, int64_t generation) {
  return memtrace::IsSince(site, generation);
}
