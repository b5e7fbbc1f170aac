#include "interpose/python/code.h"

#include <errno.h>
#include <string.h>

#include "interpose/intern.h"
#include "interpose/live_table.h"
#include "interpose/site_tree.h"

namespace memtrace::python {

constinit Types g_types;

// -------------------------------------------------------------------------------------------------
// Line tables

uint32_t LineFromDeltas(const uint8_t* table, uint64_t bytes, int first_line, int offset) {
  int64_t line = first_line, address = 0;
  for (uint64_t i = 0; i + 1 < bytes; i += 2) {
    address += table[i];
    if (address > offset) break;
    line += static_cast<int8_t>(table[i + 1]);
  }
  return line > 0 ? static_cast<uint32_t>(line) : 0;
}

uint32_t LineFromRanges(const uint8_t* table, uint64_t bytes, int first_line, int offset) {
  if (offset < 0) return static_cast<uint32_t>(first_line);
  constexpr int8_t kNoLine = -128;
  int64_t line = first_line, end = 0;
  for (uint64_t i = 0; i + 1 < bytes; i += 2) {
    const int64_t start = end;
    end += table[i];
    const auto delta = static_cast<int8_t>(table[i + 1]);
    if (delta != kNoLine) line += delta;
    if (start <= offset && offset < end) {
      return delta == kNoLine || line < 0 ? 0 : static_cast<uint32_t>(line);
    }
  }
  return 0;
}

namespace {

// A signed number in 6-bit chunks, lowest first, 0x40 = more follow; the sign is the lowest bit.
int ReadSigned(const uint8_t* table, uint64_t bytes, uint64_t* i) {
  uint32_t value = 0;
  int shift = 0;
  while (*i < bytes) {
    const uint8_t chunk = table[(*i)++];
    if (shift < 32) value |= static_cast<uint32_t>(chunk & 63) << shift;
    shift += 6;
    if ((chunk & 64) == 0) break;
  }
  return value & 1 ? -static_cast<int>(value >> 1) : static_cast<int>(value >> 1);
}

}  // namespace

uint32_t LineFromLocationsAt(const uint8_t* table, uint64_t bytes, int first_line, int offset,
                             LineCursor* cursor) {
  if (offset < 0) return static_cast<uint32_t>(first_line);
  constexpr int kNoLocation = 15, kNoColumns = 13, kLong = 14;
  int64_t line = first_line, start = 0;
  uint64_t i = 0;
  if (cursor->start >= 0 && cursor->start <= offset) {
    line = cursor->line;
    start = cursor->start;
    i = cursor->at;
  }
  while (i < bytes) {
    const LineCursor here = {0, static_cast<int32_t>(line), start, i};
    const uint8_t entry = table[i++];
    const int kind = entry >> 3 & 15;
    const int64_t end = start + ((entry & 7) + 1) * 2;
    if (kind == kNoColumns || kind == kLong) {
      line += ReadSigned(table, bytes, &i);
    } else if (kind >= 10 && kind <= 12) {
      line += kind - 10;
    }
    if (offset < end) {
      *cursor = {cursor->code, here.line, here.start, here.at};
      return kind == kNoLocation || line < 0 ? 0 : static_cast<uint32_t>(line);
    }
    start = end;
    while (i < bytes && (table[i] & 0x80) == 0) i++;
  }
  return 0;
}

uint32_t LineFromLocations(const uint8_t* table, uint64_t bytes, int first_line, int offset) {
  LineCursor cursor = {0, 0, -1, 0};
  return LineFromLocationsAt(table, bytes, first_line, offset, &cursor);
}

uint32_t LineOf(const Layout& layout, const char* code, int offset, LineCursor* cursor) {
  const char* object = Load<const char*>(code + layout.code_table);
  const auto* table = reinterpret_cast<const uint8_t*>(object + layout.bytes_data);
  const auto bytes = Load<uint64_t>(object + layout.var_size);
  const int first = Load<int32_t>(code + layout.code_first_line);
  switch (layout.line_table) {
    case LineTable::kDeltas:
      return LineFromDeltas(table, bytes, first, offset);
    case LineTable::kRanges:
      return LineFromRanges(table, bytes, first, offset);
    case LineTable::kLocations:
      return LineFromLocationsAt(table, bytes, first, offset, cursor);
  }
  return 0;
}

// -------------------------------------------------------------------------------------------------
// Text

namespace {

size_t AppendCodePoint(char* out, uint32_t c) {
  if (c < 0x80) {
    out[0] = static_cast<char>(c);
    return 1;
  }
  if (c < 0x800) {
    out[0] = static_cast<char>(0xc0 | c >> 6);
    out[1] = static_cast<char>(0x80 | (c & 63));
    return 2;
  }
  if (c >= 0xd800 && c < 0xe000) {  // a lone surrogate has no UTF-8: as Python's backslashreplace
    static const char kHex[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'u';
    for (int i = 0; i < 4; i++) out[2 + i] = kHex[c >> (12 - 4 * i) & 15];
    return 6;
  }
  if (c < 0x10000) {
    out[0] = static_cast<char>(0xe0 | c >> 12);
    out[1] = static_cast<char>(0x80 | (c >> 6 & 63));
    out[2] = static_cast<char>(0x80 | (c & 63));
    return 3;
  }
  out[0] = static_cast<char>(0xf0 | (c >> 18 & 7));
  out[1] = static_cast<char>(0x80 | (c >> 12 & 63));
  out[2] = static_cast<char>(0x80 | (c >> 6 & 63));
  out[3] = static_cast<char>(0x80 | (c & 63));
  return 4;
}

size_t Encode(const char* data, uint64_t length, int kind, char* out, size_t room) {
  size_t n = 0;
  for (uint64_t i = 0; i < length && n + 6 <= room; i++) {
    uint32_t c = 0;
    if (kind == 1) c = Load<uint8_t>(data + i);
    if (kind == 2) c = Load<uint16_t>(data + 2 * i);
    if (kind == 4) c = Load<uint32_t>(data + 4 * i);
    n += AppendCodePoint(out + n, c);
  }
  return n;
}

// Interns a str object; 0: not a str, or the region is full.
uint32_t InternText(Thread* t, const Layout& layout, const char* object) {
  if (object == nullptr || Load<const void*>(object + layout.object_type) != g_types.text) return 0;
  const auto state = Load<uint32_t>(object + layout.text_state);
  const int shift = layout.wide_state_bits ? 8 : 2;
  const int kind = state >> shift & 7;
  const bool compact = (state >> (shift + 3) & 1) != 0;
  const bool ascii = (state >> (shift + 4) & 1) != 0;
  const auto length = Load<uint64_t>(object + layout.text_length);
  if (!compact || (kind != 1 && kind != 2 && kind != 4)) return InternString("?", 1);
  const char* data = object + (ascii ? layout.text_ascii_data : layout.text_wide_data);
  if (ascii && length <= Thread::kScratchBytes) return InternString(data, length);
  return InternString(t->scratch, Encode(data, length, kind, t->scratch, Thread::kScratchBytes));
}

uint64_t HashTable(const Layout& layout, const char* table) {
  const auto bytes = Load<uint64_t>(table + layout.var_size);
  const char* data = table + layout.bytes_data;
  uint64_t hash = Mix(bytes);
  for (uint64_t i = 0; i < bytes; i += 8) {
    uint64_t word = 0;
    memcpy(&word, data + i, bytes - i < 8 ? bytes - i : 8);
    hash = Mix(hash ^ word);
  }
  return hash;
}

__attribute__((noinline)) uint32_t RegisterCode(Thread* t, const Layout& layout, const char* code) {
  if (Load<const void*>(code + layout.object_type) != g_types.code) return 0;
  const char* table = Load<const char*>(code + layout.code_table);
  if (Load<const void*>(table + layout.object_type) != g_types.bytes) return 0;
  const int saved_errno = errno;
  const uint32_t filename = InternText(t, layout, Load<const char*>(code + layout.code_filename));
  const uint32_t name = InternText(t, layout, Load<const char*>(code + layout.code_name));
  uint32_t id = 0;
  if (filename != 0) {
    id = InternCode(filename, name, Load<uint32_t>(code + layout.code_first_line),
                    HashTable(layout, table));
  }
  if (id != 0) g_live_table.SetCodeId(code, id);
  errno = saved_errno;
  return id;
}

}  // namespace

uint32_t CodeId(Thread* t, const Layout& layout, const char* code) {
  const uint32_t id = g_live_table.CodeId(code);
  return __builtin_expect(id != 0, 1) ? id : RegisterCode(t, layout, code);
}

}  // namespace memtrace::python
