// What a site of a region is called, in short: "app.py:12", "libfoo.so!make".
//
// A site that cannot be read is "(unknown)": names alone are no reason to refuse a region.

#ifndef MEMTRACE_TOOLS_READ_PLACE_NAMES_H_
#define MEMTRACE_TOOLS_READ_PLACE_NAMES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/model/profile.h"
#include "tools/read/region_file.h"
#include "tools/read/stack_decoder.h"
#include "tools/read/symbolize.h"

namespace memtrace {

class PlaceNames {
 public:
  PlaceNames(const RegionFile& region, Symbolizer* symbolizer);

  const std::string& OfSite(uint32_t site);

 private:
  std::string Name(uint32_t site);
  std::string NativeName(uint32_t native_node);
  std::string FrameName(const Frame& frame) const;

  const RegionFile& region_;
  std::string folder_;  // paths below it are shown without it
  std::vector<Module> modules_;
  Profile profile_;
  StackDecoder stacks_;
  std::map<uint32_t, std::string> known_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_PLACE_NAMES_H_
