#include "tools/model/ledger.h"

#include <algorithm>
#include <utility>

namespace memtrace {

int64_t Ledger::Bytes(LedgerKind kind) const {
  for (const LedgerPart& part : parts) {
    if (part.kind == kind) return part.bytes;
  }
  return 0;
}

bool SumsUp(const Ledger& ledger) {
  constexpr int64_t kMost = int64_t{1} << 60;
  int64_t sum = 0;
  uint32_t seen = 0;
  for (const LedgerPart& part : ledger.parts) {
    const auto kind = static_cast<uint32_t>(part.kind);
    if (kind >= kLedgerKinds || (seen >> kind & 1) != 0) return false;
    seen |= 1u << kind;
    if (part.bytes < 0 || part.bytes > kMost - sum) return false;
    sum += part.bytes;
    int64_t named = 0;
    for (const LedgerItem& item : part.items) {
      if (item.bytes < 0 || item.bytes > part.bytes - named) return false;
      named += item.bytes;
    }
  }
  return sum == ledger.rss_bytes && ledger.live_bytes >= 0;
}

void JoinSameKinds(Ledger* ledger) {
  std::vector<LedgerPart> joined;
  for (LedgerPart& part : ledger->parts) {
    const auto same = [&part](const LedgerPart& other) { return other.kind == part.kind; };
    auto at = std::find_if(joined.begin(), joined.end(), same);
    if (at == joined.end()) {
      joined.push_back(std::move(part));
    } else {
      // As unsigned: what is out of range is for SumsUp to find.
      at->bytes = static_cast<int64_t>(static_cast<uint64_t>(at->bytes) +
                                       static_cast<uint64_t>(part.bytes));
      at->items.insert(at->items.end(), part.items.begin(), part.items.end());
    }
  }
  ledger->parts = std::move(joined);
}

absl::string_view LedgerKindName(LedgerKind kind) {
  switch (kind) {
    case LedgerKind::kLive:
      return "live_blocks";
    case LedgerKind::kAllocatorSlack:
      return "allocator_slack";
    case LedgerKind::kPythonSlack:
      return "python_arena_slack";
    case LedgerKind::kOtherAllocators:
      return "other_allocators";
    case LedgerKind::kFiles:
      return "files";
    case LedgerKind::kStacks:
      return "stacks";
    case LedgerKind::kAnonymous:
      return "anonymous_mappings";
    case LedgerKind::kRecorder:
      return "memtrace";
    case LedgerKind::kUnexplained:
      break;
  }
  return "unexplained";
}

}  // namespace memtrace
