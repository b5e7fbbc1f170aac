// The calling thread's Python stack as a node of the site tree, read from its own thread state.
//
// No CPython API is called but PyGILState_GetThisThreadState, which reads thread-specific data and
// works with or without the GIL. A thread's own frames cannot change while it is in a hook, and
// each keeps its code object alive.
//
// How it is fast: the thread keeps its last stack. From the innermost frame outwards, the first
// frame whose address is in the kept stack joins it; the kept frames are then verified in place
// (previous, code, instruction: loads that do not depend on one another), and only frames that are
// new or have moved on are looked up.
//
// Kept frames are compared by address of code object, so they are dropped when a code object is
// freed (g_stale): its address may come back with other contents.

#ifndef MEMTRACE_INTERPOSE_PYTHON_FRAMES_H_
#define MEMTRACE_INTERPOSE_PYTHON_FRAMES_H_

#include <pthread.h>

#include <cstdint>

#include "interpose/python/layout.h"
#include "interpose/thread.h"

namespace memtrace {

namespace python {

// CPython's Py_tss_t on POSIX systems. Read anew each time: fork makes another key.
struct TssKey {
  int is_initialized;
  unsigned key;
};

using CaptureFunction = uint32_t (*)(Thread* t, const char* tstate);

// Set when an interpreter that can be read has been found.
struct Reader {
  const void* (*thread_state)() = nullptr;  // PyGILState_GetThisThreadState
  const TssKey* key = nullptr;              // what it looks up, when that has been found
  int (*is_initialized)() = nullptr;
  CaptureFunction capture = nullptr;
  const Layout* layout = nullptr;
};
extern constinit Reader g_reader;

// The capture function for a layout, for whole stacks or limited ones; nullptr: not in the table.
CaptureFunction ChooseCapture(const Layout* layout, uint32_t depth);

// The calling thread's state, with or without the GIL; nullptr: not a thread of Python's.
inline const void* ThreadState() {
  const TssKey* key = g_reader.key;
  if (__builtin_expect(key == nullptr, 0)) return g_reader.thread_state();
  return key->is_initialized != 0 ? pthread_getspecific(key->key) : nullptr;
}

}  // namespace python

// Node of the calling thread's stack; 0: no Python frame here.
inline uint32_t PythonNode(Thread* t) {
  const python::CaptureFunction capture = python::g_reader.capture;
  if (capture == nullptr) return 0;
  const void* tstate = python::ThreadState();
  if (tstate == nullptr) return 0;
  return capture(t, static_cast<const char*>(tstate));
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_PYTHON_FRAMES_H_
