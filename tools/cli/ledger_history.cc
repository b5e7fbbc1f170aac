#include "tools/cli/ledger_history.h"

#include <time.h>

#include <algorithm>
#include <memory>

#include "tools/read/symbolize.h"

namespace memtrace {
namespace {

constexpr int64_t kPeriodNs = 2000000000;
constexpr int64_t kLeastPeriodNs = 100000000;
constexpr int64_t kRest = 50;  // times as long as the last one took
constexpr int64_t kGrowthBytes = 1 << 20;
constexpr int64_t kMostNs = 500000000;

// Of this thread: on a busy machine the clock says more of others than of the work.
int64_t OwnNanos() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

}  // namespace

bool LedgerHistory::IsTime(int64_t elapsed_ns, int64_t rss_bytes) const {
  if (elapsed_ns < next_ns_ || rss_bytes <= 0) return false;
  if (elapsed_ns >= next_due_ns_) return true;
  int64_t highest = last_.has_value() ? last_->ledger.rss_bytes : 0;
  if (highest_.has_value()) highest = std::max(highest, highest_->ledger.rss_bytes);
  return rss_bytes > highest + highest / 10 + kGrowthBytes;
}

// Whether looking at every block will not take so long that the program's end is noticed late.
bool LedgerHistory::MayLocate(int64_t rss_bytes) const {
  if (located_bytes_ == 0) return true;
  const double growth = static_cast<double>(rss_bytes) / static_cast<double>(located_bytes_);
  return static_cast<double>(locating_took_ns_) * growth < static_cast<double>(kMostNs);
}

void LedgerHistory::Tick(int64_t elapsed_ns, int64_t rss_bytes) {
  if (!IsTime(elapsed_ns, rss_bytes)) return;
  next_ns_ = elapsed_ns + kLeastPeriodNs;
  const RegionFile* region = follower_.Look();
  if (region == nullptr) return;
  if (follower_.exec_index() != exec_index_) {
    exec_index_ = follower_.exec_index();
    last_.reset();
    highest_.reset();
  }
  const int64_t before = OwnNanos();
  absl::StatusOr<RawLedger> ledger = TakeLedger(*region, pid_, MayLocate(rss_bytes));
  const int64_t took = OwnNanos() - before;
  if (ledger.ok() && ledger->ledger.why.empty()) {
    locating_took_ns_ = took;
    located_bytes_ = ledger->ledger.rss_bytes;
  }
  next_ns_ = elapsed_ns + std::max(kLeastPeriodNs, kRest * took);
  next_due_ns_ = elapsed_ns + std::max(kPeriodNs, kRest * took);
  if (!ledger.ok()) return;  // it is just ending, or changing into another program
  const int64_t highest = highest_.has_value() ? highest_->ledger.rss_bytes : 0;
  if (last_.has_value() && last_->ledger.rss_bytes > highest) highest_ = std::move(last_);
  last_ = *std::move(ledger);
  if (highest_.has_value() && highest_->ledger.rss_bytes <= last_->ledger.rss_bytes) {
    highest_.reset();
  }
}

void LedgerHistory::Finish(Process* process) {
  if (!last_.has_value()) return;
  const RegionFile& region = *follower_.region();
  // Taken of what ran before an exec that came just before the end.
  if (region.header().start_realtime_ns != static_cast<uint64_t>(process->start_realtime_ns))
    return;
  const std::unique_ptr<Symbolizer> symbolizer = MakeSymbolizer();
  process->ledgers = {NamedLedger(region, *std::move(last_), symbolizer.get())};
  if (highest_.has_value()) {
    process->ledgers.push_back(NamedLedger(region, *std::move(highest_), symbolizer.get()));
  }
}

}  // namespace memtrace
