// The interpreter in this process that is followed: the first one that shows.
//
// One that the program is linked with, or is itself, is found at the start. One that is loaded
// later (dlopen, a plug-in that needs libpython) is found by its first call of malloc: each object
// that calls it is looked up once, and asked then whether it holds CPython. CPython calls malloc
// before it has any object. So no event pays for it, and none of the loader's functions is
// replaced: dlopen goes by its caller's address (RUNPATH, $ORIGIN, name spaces), which would be
// ours.
//
// An interpreter that was found later is never unloaded: threads may be reading its memory.

#ifndef MEMTRACE_INTERPOSE_PYTHON_INTERPRETER_H_
#define MEMTRACE_INTERPOSE_PYTHON_INTERPRETER_H_

#include <cstddef>
#include <cstdint>

#include "interpose/os/os.h"

namespace memtrace::python {

// Addresses of the object that holds the interpreter; nothing: there is none.
struct Range {
  uintptr_t start = 0;
  uintptr_t end = 0;
  bool Holds(uintptr_t address) const { return address - start < end - start; }
};
extern constinit Range g_interpreter;

// Takes the interpreter that the program started with. False: there is none.
bool TakeLinked();

enum class Found { kNothing, kFirst, kAnother };
// Looks at an object that calls malloc. Only one caller is ever told that it has kFirst.
Found Look(const os::Module& module);

// One of the interpreter's functions or objects, by name; *bytes: an object's size.
void* Symbol(const char* name, size_t* bytes = nullptr);

// Called before the program unloads anything. False: it may take the interpreter with it.
bool KeepInterpreter();

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_INTERPRETER_H_
