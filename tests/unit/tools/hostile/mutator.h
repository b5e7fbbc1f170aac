// Changed copies of files, as they come from bad disks, broken writers and people: bits flipped,
// cut off, words replaced by interesting ones, blocks moved, two files spliced. The same seed gives
// the same changes.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_MUTATOR_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_MUTATOR_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace memtrace::testing {

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  uint64_t Below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  // One to four changes. `places` (empty: all) are where the content is, for files that are mostly
  // padding; `other` is what is spliced in.
  std::string Change(std::string bytes, const std::vector<size_t>& places,
                     const std::string& other) {
    for (uint64_t n = 1 + Below(4); n > 0 && !bytes.empty(); --n) {
      const size_t at = places.empty()
                            ? Below(bytes.size())
                            : std::min(places[Below(places.size())] + Below(8), bytes.size() - 1);
      ChangeAt(at, other, &bytes);
    }
    return bytes;
  }

 private:
  void ChangeAt(size_t at, const std::string& other, std::string* bytes) {
    const size_t left = bytes->size() - at;
    switch (Below(16)) {
      case 0:
        bytes->resize(at);
        break;
      case 1:  // a block over another
        bytes->replace(at, Piece(left), std::string(*bytes, Below(bytes->size()), Piece(left)));
        break;
      case 2:  // of another file
        bytes->replace(at, Piece(left), std::string(other, Below(other.size()), Piece(4096)));
        break;
      case 3:  // head of one, tail of the other
        bytes->replace(at, left, other, std::min(at, other.size()), std::string::npos);
        break;
      case 4:
        bytes->erase(at, Piece(left));
        break;
      case 5:
        bytes->insert(at, std::string(Piece(4096), static_cast<char>(Below(256))));
        break;
      case 6:
      case 7:
      case 8:
        (*bytes)[at] = static_cast<char>(random_());
        break;
      case 9:
      case 10:
      case 11:
        (*bytes)[at] ^= static_cast<char>(1 << Below(8));
        break;
      default:
        PutWord(at - at % 4, bytes);
    }
  }

  // Lengths, ids, counts and offsets are words of four or eight bytes, or one byte of a varint.
  void PutWord(size_t at, std::string* bytes) {
    static constexpr uint64_t kInteresting[] = {0,           1,
                                                2,           7,
                                                8,           63,
                                                64,          127,
                                                128,         255,
                                                256,         4095,
                                                4096,        8192,
                                                65535,       65536,
                                                1 << 22,     0x7fffffff,
                                                0x80000000u, 0xfffffff0,
                                                0xffffffffu, 0x100000000,
                                                1ull << 40,  1ull << 48,
                                                1ull << 59,  1ull << 60,
                                                1ull << 61,  INT64_MAX,
                                                1ull << 63,  UINT64_MAX - 7,
                                                UINT64_MAX,  0x8080808080808080};
    const uint64_t word =
        Below(3) == 0 ? Below(1 << 16) : kInteresting[Below(std::size(kInteresting))];
    std::memcpy(bytes->data() + at, &word, std::min<size_t>(bytes->size() - at, Below(2) ? 8 : 4));
  }

  size_t Piece(size_t most) {
    const size_t scale = size_t{1} << Below(13);
    return std::min(most, 1 + Below(scale));
  }

  std::mt19937_64 random_;
};

// Where a sparse file has content.
inline std::vector<size_t> PlacesOf(const std::string& bytes, size_t always) {
  std::vector<size_t> places;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != 0 || i < always) places.push_back(i);
  }
  return places;
}

}  // namespace memtrace::testing

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_HOSTILE_MUTATOR_H_
