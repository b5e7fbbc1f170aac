// Protobuf's wire format by hand, for messages that no honest encoder writes.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_WIRE_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_WIRE_H_

#include <cstdint>
#include <string>

namespace memtrace::testing {

inline std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

inline std::string Number(int field, uint64_t value) {
  return Varint(static_cast<uint64_t>(field) << 3) + Varint(value);
}

// A text, a message or a packed array.
inline std::string Piece(int field, const std::string& content) {
  return Varint(static_cast<uint64_t>(field) << 3 | 2) + Varint(content.size()) + content;
}

inline std::string Repeated(const std::string& piece, size_t bytes) {
  std::string all;
  all.reserve(bytes + piece.size());
  while (all.size() < bytes) all += piece;
  return all;
}

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_WIRE_H_
