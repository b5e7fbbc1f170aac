// A trace function for PyEval_SetTrace (CPython before 3.12), for profilers by line in Python.
//
// It hands the events of wanted code objects to Python functions, and pauses the recording
// meanwhile. sys.settrace's own way there would allocate first: a frame's dictionary of variables,
// which grows with the function's own names, in the middle of what is measured.
//
// Threading: everything runs under Python's global lock. Allocates nothing itself.
#define MEMTRACE_BUILDING_LIBRARY
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "interpose/inspect.h"

namespace memtrace {
namespace {

enum Event { kCall = 0, kLine = 2, kReturn = 3 };  // Py_tracefunc

constexpr uint32_t kSlots = 1 << 16;
constexpr uint32_t kMostCodes = kSlots / 2;

struct Trace {
  void* (*call)(void* callable, ...);
  void (*decrement)(void* object);
  int minor;
  // Open addressing, linear; what has been taken out leaves kTaken.
  uintptr_t codes[kSlots];
  uint32_t used;
};
constexpr uintptr_t kTaken = 1;
constinit Trace trace;

uint32_t FirstSlot(uintptr_t code) {
  return static_cast<uint32_t>((code >> 4) * 0x9e3779b97f4a7c15 >> 40) % kSlots;
}

// The code's slot, or where it would be put.
uint32_t Find(uintptr_t code) {
  uint32_t slot = FirstSlot(code);
  uint32_t taken = kSlots;
  for (; trace.codes[slot] != 0; slot = (slot + 1) % kSlots) {
    if (trace.codes[slot] == code) return slot;
    if (trace.codes[slot] == kTaken && taken == kSlots) taken = slot;
  }
  return taken == kSlots ? slot : taken;
}

// PyFrameObject.f_code to 3.10; in 3.11 the frame points at the interpreter's, which has the code.
uintptr_t CodeOf(const void* frame) {
  const char* at = static_cast<const char*>(frame);
  if (trace.minor >= 11) memcpy(&at, at + 24, sizeof at);
  uintptr_t code;
  memcpy(&code, at + 32, sizeof code);
  return code;
}

// The tuple's item for this event: on_call, on_line, on_return.
void* Handler(void* handlers, int what) {
  int index;
  switch (what) {
    case kCall:
      index = 0;
      break;
    case kLine:
      index = 1;
      break;
    case kReturn:
      index = 2;
      break;
    default:
      return nullptr;
  }
  void* handler;
  memcpy(&handler, static_cast<char*>(handlers) + 24 + index * sizeof handler, sizeof handler);
  return handler;
}

}  // namespace
}  // namespace memtrace

using memtrace::trace;

void memtrace_trace_setup(void* call, void* decrement, int minor) {
  memcpy(&trace.call, &call, sizeof call);
  memcpy(&trace.decrement, &decrement, sizeof decrement);
  trace.minor = minor;
}

int memtrace_trace_code(uint64_t code, int wanted) {
  const uint32_t slot = memtrace::Find(code);
  const uintptr_t there = trace.codes[slot];
  if ((there == code) == (wanted != 0)) return 0;
  if (!wanted) {
    trace.codes[slot] = memtrace::kTaken;
    return 0;
  }
  if (there == 0) {
    if (trace.used == memtrace::kMostCodes) return ENOSPC;
    trace.used++;
  }
  trace.codes[slot] = code;
  return 0;
}

int memtrace_trace(void* handlers, void* frame, int what, void*) {
  void* handler = memtrace::Handler(handlers, what);
  if (handler == nullptr) return 0;
  const uintptr_t code = memtrace::CodeOf(frame);
  if (trace.codes[memtrace::Find(code)] != code) return 0;
  memtrace_pause();
  void* result = trace.call(handler, frame, nullptr);
  if (result != nullptr) trace.decrement(result);
  memtrace_resume();
  return result == nullptr ? -1 : 0;
}
