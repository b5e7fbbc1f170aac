// How much memory reading a snapshot file may take: what keeps a small file from filling the
// machine.
//
// Deflate makes a thousand bytes of one, and two bytes of content can be an object of hundreds; and
// honest files of many threads, or of deep stacks, are as small for what they hold as bombs are. So
// neither the file's size nor its content's says what a reader will need, and whatever is kept is
// charged here before it is made: with what it takes in all steps of reading together, hash tables
// and vectors that double included. The sum may be
//   kHeapBase + kHeapRatio * (compressed bytes read so far):
// about what the file's content would be if it were as long as deflate can make it.
// Real files of hundreds of thousands of stacks need 200 bytes for one of theirs; of threads that
// all do the same, 500.
//
// The costs are upper bounds; a test measures the heap for the content that is the most expensive
// of each kind (tests/unit/tools/hostile/bomb_test.cc).

#ifndef MEMTRACE_TOOLS_MODEL_READ_BUDGET_H_
#define MEMTRACE_TOOLS_MODEL_READ_BUDGET_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace memtrace {

inline constexpr int64_t kHeapBase = int64_t{48} << 20;
inline constexpr int64_t kHeapRatio = 1024;

// Of one entry, in bytes, without the texts and numbers that are charged with it.
struct ReadCost {
  static constexpr int64_t kField = 16;  // of time more than of memory
  static constexpr int64_t kSample = 240;
  static constexpr int64_t kNumber = 9;  // a value or a location of a sample
  static constexpr int64_t kNode = 110;  // beyond one for each sample
  static constexpr int64_t kDepth = 50;  // of the deepest stack, in each of the two steps
  static constexpr int64_t kMapping = 110;
  static constexpr int64_t kLocation = 180;
  static constexpr int64_t kLine = 280;  // a frame
  static constexpr int64_t kFunction = 250;
  static constexpr int64_t kString = 260;
  static constexpr int64_t kTextByte = 4;
  // A message while it is decoded: objects of 70 bytes are made of two, in arrays that double.
  static constexpr int64_t kDecodedByte = 64;
};

class ReadBudget {
 public:
  // *consumed: the compressed bytes read so far.
  explicit ReadBudget(const int64_t* consumed) : consumed_(consumed) {}

  // Charges what is kept until the profile is complete; false when it is too much.
  bool Keep(int64_t bytes) {
    kept_ += bytes;
    return Fits(0);
  }
  // Whether so much more would fit for a moment.
  bool Fits(int64_t bytes) const { return kept_ + bytes <= kHeapBase + kHeapRatio * *consumed_; }

  static absl::Status Exceeded();

 private:
  const int64_t* consumed_;
  int64_t kept_ = 0;
};

// What the extension's message (pprof::Extension) takes when it is decoded and made a part of the
// profile; an upper bound for any bytes.
int64_t ExtensionCost(absl::string_view bytes);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_READ_BUDGET_H_
