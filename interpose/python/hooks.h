// CPython's allocators: finding an interpreter in this process, and wrapping its `mem` and `obj`
// domains with PyMem_SetAllocator. `raw` is libc's malloc, which is interposed already.
//
// The wrappers are installed from the library's constructor, before the interpreter starts. Until
// it is initialised something may replace them (PYTHONMALLOC, -X dev) or wrap them (-X
// tracemalloc): so each libc malloc looks (Gate::kWatching) and puts another layer of ours
// outermost. A layer inside another one sees that the thread is busy and only passes the call on.
// After that they are never uninstalled: somebody may have wrapped them.

#ifndef MEMTRACE_INTERPOSE_PYTHON_HOOKS_H_
#define MEMTRACE_INTERPOSE_PYTHON_HOOKS_H_

namespace memtrace::python {

// Looks for an interpreter among the loaded objects and installs the hooks. True: there is one, and
// its allocators must be watched until it is initialised.
bool Install();

// One look while watching. True: initialised, no need to look again.
bool Watch();

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_HOOKS_H_
