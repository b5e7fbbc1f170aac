// Native stacks (MEMTRACE_NATIVE=1): the frames between the allocation and the interpreter are hung
// under the thread's Python stack, so that one tree holds both. In a thread without Python frames
// the whole native stack is taken.
//
// Python's own domains are left as they are: who calls PyObject_Malloc is the interpreter.

#ifndef MEMTRACE_INTERPOSE_NATIVE_H_
#define MEMTRACE_INTERPOSE_NATIVE_H_

#include <cstdint>

#include "interpose/thread.h"

namespace memtrace {

extern constinit bool g_native;  // set once, from the library's constructor

// Reads the setting.
void InitNative();

// Node of the native stack above `python_node`; python_node itself when nothing can be unwound.
uint32_t NativeNode(Thread* t, uint32_t python_node, uintptr_t caller);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_NATIVE_H_
