// Rust's v0 mangling ("_R…"), which __cxa_demangle does not know.
//
// The names come out as in rustc's own messages, without the crates' hashes, so that they compare
// across builds. Names that use what is not understood come out empty, and the caller shows the
// mangled one. Depth and length are bounded, because names come from files of any origin.

#ifndef MEMTRACE_TOOLS_READ_RUST_SYMBOL_H_
#define MEMTRACE_TOOLS_READ_RUST_SYMBOL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace memtrace {

std::string DemangleRustV0(absl::string_view symbol);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_RUST_SYMBOL_H_
