// The calling thread's Python stack as a node of the site tree, read from its own thread state.
//
// No CPython API is called (but PyGILState_GetThisThreadState where its key was not found), with or
// without the GIL. A thread's own frames cannot change while it is in a hook, and each keeps its
// code object alive.
//
// How it is fast: the thread keeps its last stack. If the innermost frame is still the same one,
// its callers are compared in place with what they were (previous, instruction: loads that do not
// depend on one another), and only its own instruction is looked up. Otherwise, from the innermost
// frame outwards, the first one that is in the kept stack joins it, and frames that are new or have
// moved on are looked up.
//
// A frame at the same address with the same instruction pointer runs the same code object, as long
// as no code object has been freed meanwhile: then the kept stack is dropped (g_stale). Up to 3.10
// the instruction is a mere index, and the code object is compared, too.

#ifndef MEMTRACE_INTERPOSE_PYTHON_FRAMES_H_
#define MEMTRACE_INTERPOSE_PYTHON_FRAMES_H_

#include <pthread.h>

#include <cstdint>

#include "interpose/os/os.h"
#include "interpose/python/layout.h"
#include "interpose/thread.h"

namespace memtrace {

namespace python {

// CPython's Py_tss_t on POSIX systems. Read anew each time: fork makes another key.
struct TssKey {
  int is_initialized;
  unsigned key;
};

extern constinit const TssKey kNoKey;  // like no key of Python's

// The functions for one layout, for whole stacks or limited ones.
struct Capture {
  // Node of the stack; 0: no Python frame runs. Looks first whether the state may be read.
  uint32_t (*node)(Thread* t, const char* tstate) = nullptr;
  // Site there, in kPythonMem (0) or kPythonObj (1).
  uint32_t (*site)(Thread* t, const char* tstate, uint32_t domain) = nullptr;
  // The same when capture.h's FastSite has found none.
  uint32_t (*slow_site)(Thread* t, const char* tstate, uint32_t domain) = nullptr;
};

// Set when an interpreter that can be read has been found.
struct Reader : Capture {
  const void* (*thread_state)() = nullptr;  // PyGILState_GetThisThreadState
  const TssKey* key = &kNoKey;              // what it looks up, when that has been found
  int specific = 0;                         // os::FindSpecific
  int (*is_initialized)() = nullptr;
  const Layout* layout = nullptr;
};
extern constinit Reader g_reader;

Capture ChooseCapture(const Layout* layout, uint32_t depth);

const char* ThreadStateSlow(Thread* t);

// The calling thread's state, with or without the GIL; nullptr: not a thread of Python's.
inline const char* ThreadState(Thread* t) {
  uint64_t key;
  __builtin_memcpy(&key, g_reader.key, sizeof key);
  return __builtin_expect(key == t->tss_key, 1) ? *t->tss_place : ThreadStateSlow(t);
}

// Whether the thread's state may be read; called when it is another one than last time. A state
// that another thread has freed stays with its thread (CPython frees those of all threads when it
// is finalised, while they may be at work in C): the block that holds it is marked, so that its
// free is told, and it is dead until the thread has another one or none.
bool Learn(Thread* t, const char* tstate);

inline bool MayRead(Thread* t, const char* tstate) {
  return __builtin_expect(tstate == t->known_state, 1) || Learn(t, tstate);
}

// Index of one of Python's domains: kPythonMem (0), kPythonObj (1).
inline uint32_t WhichOf(Domain domain) {
  return static_cast<uint32_t>(domain) - static_cast<uint32_t>(Domain::kPythonMem);
}

}  // namespace python

// Node of the calling thread's stack; 0: no Python frame here. Only when g_reader.node is set.
inline uint32_t PythonNode(Thread* t) {
  const char* tstate = python::ThreadState(t);
  return tstate != nullptr ? python::g_reader.node(t, tstate) : 0;
}

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_PYTHON_FRAMES_H_
