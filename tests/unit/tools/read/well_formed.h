// What must hold of every profile that a reader lets pass, whatever bytes it was made of.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_READ_WELL_FORMED_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_READ_WELL_FORMED_H_

#include <algorithm>
#include <string>

#include "tools/model/profile.h"

namespace memtrace::testing {

// Ids are in range and chains of parents end. "" or what is wrong.
inline std::string WhatIsMisplaced(const Profile& profile) {
  for (const Function& function : profile.functions()) {
    if (std::max(function.name, function.filename) >= profile.strings().size()) return "a function";
  }
  for (const Frame& frame : profile.frames()) {
    if (frame.function >= profile.functions().size()) return "a frame's function";
    if (frame.module >= profile.strings().size()) return "a frame's module";
  }
  for (size_t i = 1; i < profile.nodes().size(); ++i) {
    if (profile.nodes()[i].parent >= i) return "a node's parent";
    if (profile.nodes()[i].frame >= profile.frames().size()) return "a node's frame";
  }
  for (const Process& process : profile.processes) {
    if (!std::all_of(process.ledgers.begin(), process.ledgers.end(), SumsUp)) return "a ledger";
    if (!process.is_member()) continue;
    if (process.added_to > profile.processes.size()) return "a member's group";
    if (!profile.processes[process.added_to - 1].is_group()) return "a member of no group";
  }
  for (const Sample& sample : profile.samples()) {
    if (sample.node >= profile.nodes().size()) return "a sample's stack";
    if (sample.caller >= profile.frames().size()) return "a sample's caller";
    if (sample.label >= profile.strings().size()) return "a sample's label";
    if (sample.process >= profile.processes.size()) return "a sample's process";
    const size_t threads = profile.processes[sample.process].threads.size();
    if (sample.thread >= std::max<size_t>(threads, 1)) return "a sample's thread";
  }
  return "";
}

// The same, and no figure of a region is negative.
inline std::string WhatIsMalformed(const Profile& profile) {
  for (const Sample& sample : profile.samples()) {
    const Values& v = sample.values;
    if (std::min({v.alloc_objects, v.alloc_bytes, v.inuse_objects, v.inuse_bytes, v.peak_objects,
                  v.peak_bytes, v.temporary_objects, v.temporary_bytes}) < 0) {
      return "a negative figure";
    }
  }
  return WhatIsMisplaced(profile);
}

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_READ_WELL_FORMED_H_
