// Native stacks (MEMTRACE_NATIVE=1): each event has two stacks, the thread's Python stack and its
// native one, and its site is made of both. The tool merges them (core/layout.h,
// kFlagNativeStacks): the native stack says where Python's frames belong.
//
// The interpreter's own frames are left out, unless MEMTRACE_NATIVE_INTERPRETER=1.
//
// MEMTRACE_UNWIND names the method: incremental (the default), libunwind, fp, boost.
// MEMTRACE_UNWIND_CHECK=1 compares each incremental stack with one that libunwind made from
// scratch.

#ifndef MEMTRACE_INTERPOSE_NATIVE_H_
#define MEMTRACE_INTERPOSE_NATIVE_H_

#include <cstdint>

#include "core/layout.h"
#include "interpose/thread.h"

namespace memtrace {

extern constinit bool g_native;  // set once, before any hook is installed

// Reads the settings. Before Python's allocators are hooked.
void InitNative();
// Loads what the method needs: from the library's constructor, what is allocated is not recorded.
void OpenUnwinder();
// To be called when an interpreter has been found.
void LearnEvaluation();

// The site of an event in a hook: `caller` is where the hook returns to, `hook` its frame address
// (the caller's rbp is stored there, and behind it the return address); inside operator new, it is
// that one's. 0: none could be made.
uint32_t NativeSite(Thread* t, Domain domain, uintptr_t caller, const void* hook);

// The same where the node of the Python stack is known.
uint32_t NativeSiteAt(Thread* t, uint32_t node, Domain domain, uintptr_t caller, const void* hook);

// The node of Python's stack where another evaluation begins under `node`.
uint32_t EvaluationNode(uint32_t node);

// Which frames stand for a return address, from outside inwards; 0: none.
struct ShownFrames {
  uint32_t frame;
  uint32_t inside;
};
// address: an address in the call itself.
ShownFrames ShowFrame(Thread* t, uintptr_t address);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_NATIVE_H_
