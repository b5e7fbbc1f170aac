// Where a module's own file and its debug information are.
//
// Role. Finds files as GDB does, for a module that somebody recorded, perhaps on another machine
// and long ago. Never asks a network service; what debuginfod's client has fetched earlier is used.
//
// Invariants
//  1. A file that is not known to belong to the module gives no names: they would be wrong. It
//     belongs when its build-id is the recorded one; a separate debug file also when the module's
//     own file names it and its checksum.
//  2. A module without a build-id is taken from its recorded path alone, and only where
//  `trust_paths`
//     says that nothing can have changed there meanwhile.
//
// Searched, in this order. The module's own file: the recorded path; in each folder of `folders`
// the same path, the path's last part, .build-id/xx/yyyy; debuginfod's caches (BUILDID/executable).
// Debug information: the file itself; .build-id/xx/yyyy.debug in each folder, and in
// /usr/lib/debug; .gnu_debuglink's name beside the file, in .debug there, and in /usr/lib/debug;
// debuginfod's caches (BUILDID/debuginfo). What dwz moved out (.gnu_debugaltlink): by its build-id.

#ifndef MEMTRACE_TOOLS_READ_DEBUG_FILES_H_
#define MEMTRACE_TOOLS_READ_DEBUG_FILES_H_

#include <memory>
#include <string>
#include <vector>

#include "tools/model/profile.h"
#include "tools/read/elf_file.h"

namespace memtrace {

struct SymbolSources {
  std::vector<std::string> folders;  // to look into as well, before the usual ones
  bool trust_paths = true;           // see above
};

class DebugFiles {
 public:
  explicit DebugFiles(SymbolSources sources);

  // The module's own file, or null.
  std::unique_ptr<ElfFile> OpenModule(const Module& module) const;

  // The separate file with debug information for a module, or null. `file` is the module's own, or
  // null where that is missing.
  std::unique_ptr<ElfFile> OpenDebug(const Module& module, const ElfFile* file) const;

  // The file that dwz has moved parts of `file` to, or null. *needed: whether there is such a file.
  std::unique_ptr<ElfFile> OpenAlternate(ElfFile* file, bool* needed) const;

 private:
  std::unique_ptr<ElfFile> ByBuildId(const std::string& build_id) const;
  std::unique_ptr<ElfFile> ByDebugLink(const ElfFile& file) const;

  const SymbolSources sources_;
  std::vector<std::string> folders_;  // .build-id is looked for in these
  std::vector<std::string> caches_;   // of debuginfod
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_DEBUG_FILES_H_
