// Call frame information as it is stored: what functions have in common (CIE) and what each has of
// its own (FDE), found by way of .eh_frame_hdr. cfi.h says what is understood of it; the
// instructions in it are executed in cfi.cc.
//
// Any thread; allocates nothing.

#ifndef MEMTRACE_INTERPOSE_UNWIND_DESCRIPTIONS_H_
#define MEMTRACE_INTERPOSE_UNWIND_DESCRIPTIONS_H_

#include <string.h>

#include <cstddef>
#include <cstdint>

#include "interpose/unwind/cfi.h"

namespace memtrace::unwind {

// Bytes yet to be read. What lies behind the end reads as zero.
struct Bytes {
  const uint8_t* at;
  const uint8_t* end;

  bool empty() const { return at >= end; }
  template <class T>
  T Take() {
    T value{};
    if (static_cast<size_t>(end - at) < sizeof value) {
      at = end;
      return value;
    }
    memcpy(&value, at, sizeof value);
    at += sizeof value;
    return value;
  }
  uint64_t Unsigned() {  // LEB128
    uint64_t value = 0;
    for (unsigned shift = 0; !empty(); shift += 7) {
      const uint8_t byte = *at++;
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }
  int64_t Signed() {
    uint64_t value = 0;
    for (unsigned shift = 0; !empty();) {
      const uint8_t byte = *at++;
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      shift += 7;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift < 64) value |= ~uint64_t{0} << shift;
      break;
    }
    return static_cast<int64_t>(value);
  }
  void Skip(uint64_t bytes) { at = bytes > static_cast<uint64_t>(end - at) ? end : at + bytes; }
};

// Of one function, or of the part of it that lies apart.
struct Description {
  CodeRange range;
  uint64_t code_factor;
  int64_t data_factor;
  bool is_signal;
  Bytes common;  // instructions
  Bytes own;
};

// False: there is none, or it is written in a way that compilers for x86-64 do not use.
bool FindDescription(uintptr_t address, Description* out);

}  // namespace memtrace::unwind

#endif  // MEMTRACE_INTERPOSE_UNWIND_DESCRIPTIONS_H_
