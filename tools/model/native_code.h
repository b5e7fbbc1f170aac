// What native code is: the program's own, the system's, the interpreter, or a layer above malloc
// that tells nobody anything.
//
// By names alone, as a profile has them: functions demangled, paths of sources and modules.

#ifndef MEMTRACE_TOOLS_MODEL_NATIVE_CODE_H_
#define MEMTRACE_TOOLS_MODEL_NATIVE_CODE_H_

#include "absl/strings/string_view.h"

namespace memtrace {

// operator new, std::allocator and its kin, Rust's alloc: whoever calls them is who allocates.
bool IsAllocatorLayer(absl::string_view function);

// The standard libraries of C++ and Rust, also where they were compiled into the program.
bool IsStandardFunction(absl::string_view function);

// A source or a module that comes with the system, a compiler, or a registry of packages.
bool IsSystemSource(absl::string_view path);
bool IsSystemModule(absl::string_view path);

// The executable or the shared library of CPython.
bool IsInterpreterModule(absl::string_view path);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_NATIVE_CODE_H_
