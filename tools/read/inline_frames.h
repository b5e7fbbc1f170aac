// What an address stands for in the source: the function that exists in machine code, and the calls
// that the compiler inlined into it there.
//
// Invariants
//  1. Innermost first; the last one is the function in machine code.
//  2. Each has the line of the call that it makes (the innermost: the address's own line).
//  3. Bounded: at most kMostInlined calls deep, whatever the debug information says.
//
// Threading: none. Lives no longer than the Dwarf and the symbols it was made from.

#ifndef MEMTRACE_TOOLS_READ_INLINE_FRAMES_H_
#define MEMTRACE_TOOLS_READ_INLINE_FRAMES_H_

#include <elfutils/libdw.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tools/read/elf_symbols.h"
#include "tools/read/native_symbol.h"
#include "tools/read/scope_names.h"
#include "tools/read/unit_index.h"

namespace memtrace {

inline constexpr size_t kMostInlined = 64;

class InlineFrames {
 public:
  InlineFrames(Dwarf* dwarf, const ElfSymbols* symbols) : symbols_(symbols) { units_.Load(dwarf); }

  // Empty where the debug information does not know the address.
  NativeFrames At(uint64_t address);

 private:
  std::string FunctionName(Dwarf_Die* function, uint64_t address);
  std::string InlinedName(Dwarf_Die* unit, Dwarf_Die* inlined);
  std::string QualifiedName(Dwarf_Die* function);

  const ElfSymbols* const symbols_;
  UnitIndex units_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<UnitFunctions>> functions_;  // by unit's offset
  absl::flat_hash_map<uint64_t, std::unique_ptr<ScopeNames>> scopes_;        // by unit's place
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_INLINE_FRAMES_H_
