// Code objects: their identity, and the line of an instruction, decoded from raw memory by our own
// decoders (CPython's allocate, or take locks that a hook must not wait for).
//
// Sources: CPython's Objects/lnotab_notes.txt (3.8, 3.9), PEP 626 (3.10), Objects/locations.md
// (3.11+).

#ifndef MEMTRACE_INTERPOSE_PYTHON_CODE_H_
#define MEMTRACE_INTERPOSE_PYTHON_CODE_H_

#include <cstdint>

#include "interpose/python/layout.h"
#include "interpose/thread.h"

namespace memtrace::python {

template <class T>
inline T Load(const char* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

// Id of the code object, registered on first sight; 0: this is no code object, or the region is
// full.
uint32_t CodeId(Thread* t, const Layout& layout, const char* code);

// Line of the instruction at a byte offset (negative: not started yet), 0: none.
// `cursor`: where this code object's table was left off the last time.
uint32_t LineOf(const Layout& layout, const char* code, int offset, LineCursor* cursor);

// The decoders, for tests: table, its length, the code's first line, byte offset.
uint32_t LineFromDeltas(const uint8_t* table, uint64_t bytes, int first_line, int offset);
uint32_t LineFromRanges(const uint8_t* table, uint64_t bytes, int first_line, int offset);
uint32_t LineFromLocations(const uint8_t* table, uint64_t bytes, int first_line, int offset);
// The same, from where the cursor stands if that is not too far; it stands at the offset then.
uint32_t LineFromLocationsAt(const uint8_t* table, uint64_t bytes, int first_line, int offset,
                             LineCursor* cursor);

// Types of the running interpreter, needed to tell code objects from what else a frame may hold.
struct Types {
  const void* code = nullptr;
  const void* bytes = nullptr;
  const void* text = nullptr;
};
extern constinit Types g_types;

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_CODE_H_
