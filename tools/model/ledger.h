// What a process's resident memory is made of.
//
// Invariants (SumsUp says whether they hold; a file is refused where they do not)
//  1. No part is negative, and the parts together are rss_bytes to the byte: kUnexplained is a
//  part.
//  2. The items of a part are at most its bytes; what they leave is the part's rest, without a
//  name.
//  3. A ledger with why and without rss_bytes is none: it says why.

#ifndef MEMTRACE_TOOLS_MODEL_LEDGER_H_
#define MEMTRACE_TOOLS_MODEL_LEDGER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace memtrace {

// Numbers are those of snapshot files (core/FORMAT.md): never changed.
enum class LedgerKind : uint32_t {
  kUnexplained = 0,
  kLive = 1,             // live blocks of malloc and Python's allocators
  kAllocatorSlack = 2,   // glibc's heaps beyond them
  kPythonSlack = 3,      // Python's arenas beyond them
  kOtherAllocators = 4,  // other allocators' memory beyond them
  kFiles = 5,            // the program, its libraries, files that it has mapped
  kStacks = 6,
  kAnonymous = 7,  // mapped by the program itself
  kRecorder = 8,   // memtrace's own
};
inline constexpr uint32_t kLedgerKinds = 9;

struct LedgerItem {
  std::string name;
  int64_t bytes = 0;
};

struct LedgerPart {
  LedgerKind kind = LedgerKind::kUnexplained;
  int64_t bytes = 0;
  std::vector<LedgerItem> items;  // the largest, by name
};

// A line whose blocks keep Python's arenas from being given back: such as are filled to less than
// a quarter.
struct ArenaPin {
  std::string place;
  int64_t arenas = 0;
  int64_t bytes = 0;  // of its blocks in them
};

struct Ledger {
  int64_t taken_realtime_ns = 0;
  int64_t rss_bytes = 0;
  int64_t live_bytes = 0;         // all live blocks, in memory or not
  std::string why;                // why the blocks could not be located, or why there is no ledger
  std::vector<LedgerPart> parts;  // the largest first; one of a kind
  int64_t arenas = 0;             // Python's; 0: not known
  int64_t pinned_arenas = 0;
  int64_t pinned_free_bytes = 0;  // resident in them beyond their blocks
  std::vector<ArenaPin> pins;     // by arenas

  bool is_known() const { return rss_bytes > 0; }
  int64_t Bytes(LedgerKind kind) const;
};

bool SumsUp(const Ledger& ledger);

// Makes one part of all of a kind.
void JoinSameKinds(Ledger* ledger);

// Stable names: "live_blocks", "allocator_slack", ...
absl::string_view LedgerKindName(LedgerKind kind);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_LEDGER_H_
