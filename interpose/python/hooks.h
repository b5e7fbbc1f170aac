// CPython's allocators: finding an interpreter in this process, and wrapping its `mem` and `obj`
// domains with PyMem_SetAllocator. `raw` is libc's malloc, which is interposed already.
//
// The wrappers are installed before the interpreter starts: from the library's constructor, or at
// the first malloc of one that is loaded later (interpreter.h). Until it is initialised something
// may replace them (PYTHONMALLOC, -X dev) or wrap them (-X tracemalloc): so each libc malloc of the
// interpreter's own looks (Gate::kWatching) and puts a layer of ours outermost. Its own, as another
// thread could come in between when the interpreter replaces them. A layer inside another one sees
// that the thread is busy and only passes the call on. Once it is initialised they are left alone:
// somebody may have wrapped them. When it has been finalised it is watched again, as a new start
// begins with its own allocators (3.12 and later) or with those of PYTHONMALLOC.

#ifndef MEMTRACE_INTERPOSE_PYTHON_HOOKS_H_
#define MEMTRACE_INTERPOSE_PYTHON_HOOKS_H_

#include <cstdint>

#include "interpose/thread.h"

namespace memtrace::python {

// Looks for an interpreter among the loaded objects and installs the hooks. True: there is one, and
// its allocators must be watched until it is initialised.
bool Install();

// An object that calls malloc has been met for the first time, or again after some were unloaded:
// is it an interpreter? `address` is its caller's.
void Meet(Thread* t, uintptr_t address);

// One look while watching, from a malloc called at `caller`. True: initialised, no need to look
// again.
bool Watch(uintptr_t caller);

// The interpreter is not initialised now, though a thread was ready to read its stack.
void WatchAgain(Thread* t);

// Called before the program unloads anything.
void Unload();

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_HOOKS_H_
