// Ledgers of the program that `memtrace run` has started, taken while it runs: once it has ended
// there is no memory left to look at.
//
// Kept are the last one, and the one of the highest resident memory. One is taken about every two
// seconds, and sooner where resident memory has grown by a tenth; never before fifty times as long
// as the last one took has passed, so the program's mappings are locked for little of its time.
// After exec everything begins anew.
//
// Threading: none.
#ifndef MEMTRACE_TOOLS_CLI_LEDGER_HISTORY_H_
#define MEMTRACE_TOOLS_CLI_LEDGER_HISTORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "tools/cli/region_follower.h"
#include "tools/model/profile.h"
#include "tools/read/ledger.h"

namespace memtrace {

class LedgerHistory {
 public:
  LedgerHistory(std::string session, int32_t pid) : follower_(std::move(session), pid), pid_(pid) {}

  // Takes one if it is time to. rss_bytes: resident memory now.
  void Tick(int64_t elapsed_ns, int64_t rss_bytes);

  // Puts those that were kept into the process.
  void Finish(Process* process);

 private:
  bool IsTime(int64_t elapsed_ns, int64_t rss_bytes) const;
  bool MayLocate(int64_t rss_bytes) const;

  RegionFollower follower_;
  const int32_t pid_;
  uint32_t exec_index_ = 0;
  int64_t locating_took_ns_ = 0;  // of the last one whose blocks were located
  int64_t located_bytes_ = 0;     // its resident memory
  int64_t next_ns_ = 0;           // not before
  int64_t next_due_ns_ = 0;       // in any case
  std::optional<RawLedger> last_;
  std::optional<RawLedger> highest_;  // if it is not the last one
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_LEDGER_HISTORY_H_
