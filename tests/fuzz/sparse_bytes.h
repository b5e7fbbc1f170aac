// A sparse file in few bytes: what the region fuzzer works on.
//
// A region is mostly zeros: extents of 4 KiB of which a few records are used. A fuzzer that changes
// its bytes would nearly always change padding. So it changes this: pieces of (distance from the
// last piece's end, length, bytes), in front of them the file's size; all numbers little endian.

#ifndef MEMTRACE_TESTS_FUZZ_SPARSE_BYTES_H_
#define MEMTRACE_TESTS_FUZZ_SPARSE_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace memtrace::testing {

inline constexpr size_t kMostSparseBytes = size_t{1} << 20;
inline constexpr size_t kLeastGap = 16;  // fewer zeros than these are part of a piece

struct SparsePiece {
  uint32_t gap;
  uint16_t length;
};

// Any bytes give a file.
inline std::string ExpandSparse(const uint8_t* bytes, size_t size) {
  uint32_t total = 0;
  if (size < sizeof(total)) return "";
  std::memcpy(&total, bytes, sizeof(total));
  std::string file(total % (kMostSparseBytes + 1), '\0');
  size_t at = 0;
  for (size_t i = sizeof(total); i + 6 <= size;) {
    SparsePiece piece;
    std::memcpy(&piece.gap, bytes + i, 4);
    std::memcpy(&piece.length, bytes + i + 4, 2);
    i += 6;
    at += piece.gap % kMostSparseBytes;
    if (at >= file.size()) break;
    const size_t length = std::min({size_t{piece.length}, size - i, file.size() - at});
    std::memcpy(&file[at], bytes + i, length);
    i += length;
    at += length;
  }
  return file;
}

inline std::string PackSparse(const std::string& file) {
  std::string packed;
  const auto append = [&packed](const auto& number) {
    packed.append(reinterpret_cast<const char*>(&number), sizeof(number));
  };
  append(static_cast<uint32_t>(file.size()));
  size_t end = 0;  // of the last piece
  for (size_t at = 0; at < file.size();) {
    if (file[at] == '\0') {
      ++at;
      continue;
    }
    size_t stop = at + 1;
    for (size_t zeros = 0; stop + zeros < file.size() && zeros < kLeastGap && stop - at < 60000;) {
      zeros = file[stop + zeros] == '\0' ? zeros + 1 : (stop += zeros + 1, size_t{0});
    }
    append(static_cast<uint32_t>(at - end));
    append(static_cast<uint16_t>(stop - at));
    packed.append(file, at, stop - at);
    at = end = stop;
  }
  return packed;
}

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_FUZZ_SPARSE_BYTES_H_
