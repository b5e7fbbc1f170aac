// Names for native code: module and address in, function, file and line out.
//
// Role. Runs when a snapshot is taken or a region reported, outside the traced process, for the
// addresses that have figures, or when a snapshot is read that has addresses without names. Uses
// what is there, best first: DWARF in the file or in a separate debug file (function, file, line;
// tools/read/debug_files.h finds it), then the ELF symbol tables (function), then nothing, and the
// reader shows module+0xoffset.
//
// Invariants
//  1. A file whose build-id is not the recorded one gives no names: they would be wrong.
//  2. An address is a return address; it is looked up one byte earlier, in the call itself.
//  3. What was inlined there comes first, innermost first; the last frame is the function that
//  exists
//     in machine code, with the line within it that the call was inlined to. With symbol tables
//     alone there is only that function.
//  4. Names are demangled, and Rust's hashes are left out, so that they compare across builds.
//  5. When the time given to it is up, it goes on with symbol tables alone. Only its own work
//  counts.
//
// Threading: none; one Symbolizer belongs to one thread.

#ifndef MEMTRACE_TOOLS_READ_SYMBOLIZE_H_
#define MEMTRACE_TOOLS_READ_SYMBOLIZE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/model/profile.h"
#include "tools/read/debug_files.h"
#include "tools/read/native_symbol.h"

namespace memtrace {

class Symbolizer {
 public:
  virtual ~Symbolizer() = default;
  // `address` is relative to the module's load bias, as in the file's own symbol table. At least
  // one frame, without a name where nothing is known.
  virtual NativeFrames Resolve(const Module& module, uint64_t address) = 0;
  // Whether addresses were asked for when the time for debug information was up.
  virtual bool ran_out_of_time() const = 0;
};

// One that looks into the files on disk.
std::unique_ptr<Symbolizer> MakeSymbolizer(SymbolSources sources = {},
                                           absl::Duration dwarf_time = absl::Seconds(10));

// C++ and Rust names as people write them; others unchanged.
std::string Demangle(absl::string_view symbol);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_SYMBOLIZE_H_
