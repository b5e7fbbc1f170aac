// A name for native code.

#ifndef MEMTRACE_TOOLS_READ_NATIVE_SYMBOL_H_
#define MEMTRACE_TOOLS_READ_NATIVE_SYMBOL_H_

#include <cstdint>
#include <string>
#include <vector>

namespace memtrace {

struct NativeSymbol {
  std::string function;    // empty: unknown
  std::string file;        // empty: no line information
  int64_t line = 0;        // 0: unknown
  int64_t start_line = 0;  // of the function
};

// What one address stands for: the calls that were inlined there, innermost first, and last the
// function that exists in machine code. Each has the line of the call that it makes.
using NativeFrames = std::vector<NativeSymbol>;

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_NATIVE_SYMBOL_H_
