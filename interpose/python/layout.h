// Where CPython keeps what the recorder reads: offsets by version, in bytes, x86-64 and other LP64
// systems, release builds.
//
// Source: printed from each version's own headers with offsetof and checked by walking live frames
// against sys._getframe. 3.13t and 3.14t are free-threaded builds.
// A version that is not in the table is not read at all.

#ifndef MEMTRACE_INTERPOSE_PYTHON_LAYOUT_H_
#define MEMTRACE_INTERPOSE_PYTHON_LAYOUT_H_

#include <cstdint>

namespace memtrace::python {

enum class LineTable : uint8_t {
  kDeltas,    // 3.8, 3.9: co_lnotab
  kRanges,    // 3.10
  kLocations  // 3.11 and later
};

struct Layout {
  uint32_t version;  // major << 8 | minor
  bool free_threaded;
  LineTable line_table;

  // Thread state -> innermost frame: load(tstate + thread_frame), then, when there is a C frame in
  // between, load(that + cframe_frame).
  int16_t thread_frame;
  int16_t cframe_frame;  // -1: none

  int16_t frame_code;
  int16_t frame_ip;  // pointer into the bytecode, or an int of `index_scale` bytes a unit
  int16_t frame_previous;
  int16_t frame_owner;  // -1: none
  int16_t frame_entry;  // 3.11: whether an evaluation of its own runs it; -1: none
  int16_t index_scale;  // 0: frame_ip is a pointer

  int16_t code_first_line;
  int16_t code_filename;
  int16_t code_name;  // qualified from 3.11
  int16_t code_table;
  int16_t code_first_traceable;  // -1: none
  int16_t code_bytes;            // -1: none
  int16_t code_tlbc;             // free-threaded 3.14: thread-local bytecode, -1: none
  int16_t frame_tlbc_index;

  int16_t object_type;
  int16_t var_size;
  int16_t bytes_data;
  int16_t text_length;
  int16_t text_state;
  int16_t text_ascii_data;
  int16_t text_wide_data;
  bool wide_state_bits;  // 3.14t: kind 0x700, compact 0x800, ascii 0x1000
};

inline constexpr Layout kLayouts[] = {
    {0x308, false, LineTable::kDeltas,
     24,    -1,    32,
     104,   24,    -1,
     -1,    1,     40,
     104,   112,   120,
     -1,    -1,    -1,
     -1,    8,     16,
     32,    16,    32,
     48,    72,    false},
    {0x309, false, LineTable::kDeltas,
     24,    -1,    32,
     104,   24,    -1,
     -1,    1,     40,
     104,   112,   120,
     -1,    -1,    -1,
     -1,    8,     16,
     32,    16,    32,
     48,    72,    false},
    {0x30a, false, LineTable::kRanges,
     24,    -1,    32,
     96,    24,    -1,
     -1,    2,     40,
     104,   112,   120,
     -1,    -1,    -1,
     -1,    8,     16,
     32,    16,    32,
     48,    72,    false},
    {0x30b, false, LineTable::kLocations,
     56,    8,     32,
     56,    48,    69,
     68,    0,     72,
     112,   128,   136,
     168,   184,   -1,
     -1,    8,     16,
     32,    16,    32,
     48,    72,    false},
    {0x30c, false, LineTable::kLocations,
     56,    0,     0,
     56,    8,     70,
     -1,    0,     68,
     112,   128,   136,
     176,   192,   -1,
     -1,    8,     16,
     32,    16,    32,
     40,    56,    false},
    {0x30d, false, LineTable::kLocations,
     72,    -1,    0,
     56,    8,     70,
     -1,    0,     68,
     112,   128,   136,
     184,   200,   -1,
     -1,    8,     16,
     32,    16,    32,
     40,    56,    false},
    {0x30d, true, LineTable::kLocations,
     72,    -1,   0,
     56,    8,    70,
     -1,    0,    84,
     128,   144,  152,
     200,   216,  -1,
     -1,    24,   32,
     48,    32,   48,
     56,    72,   false},
    {0x30e, false, LineTable::kLocations,
     72,    -1,    0,
     56,    8,     74,
     -1,    0,     68,
     112,   128,   136,
     192,   208,   -1,
     -1,    8,     16,
     32,    16,    32,
     40,    56,    false},
    {0x30e, true, LineTable::kLocations,
     72,    -1,   0,
     56,    8,    78,
     -1,    0,    84,
     128,   144,  152,
     208,   232,  224,
     72,    24,   32,
     48,    32,   48,
     56,    72,   true},
};
inline constexpr int kLayoutCount = sizeof kLayouts / sizeof kLayouts[0];

inline constexpr int8_t kOwnedByGenerator = 1;
inline constexpr int8_t kFirstShimOwner = 3;  // frames of the interpreter's own from here on

}  // namespace memtrace::python

#endif  // MEMTRACE_INTERPOSE_PYTHON_LAYOUT_H_
