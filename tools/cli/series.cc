#include "tools/cli/series.h"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "tools/cli/say.h"
#include "tools/read/load.h"
#include "tools/render/units.h"

namespace memtrace {
namespace {

constexpr int kFewestDigits = 3;
constexpr int kEnoughForLeaks = 3;
constexpr absl::Duration kShortest = absl::Milliseconds(1);

// Signals that end the series wait until one asks for them, so that none hits in mid-file.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    sigprocmask(SIG_BLOCK, &set_, &old_);
  }
  ~EndSignals() { sigprocmask(SIG_SETMASK, &old_, nullptr); }

  // False when the series shall end.
  bool SleepUntil(absl::Time time) const {
    while (true) {
      const absl::Duration left = std::max(time - absl::Now(), absl::ZeroDuration());
      const timespec timeout = absl::ToTimespec(left);
      const int got = sigtimedwait(&set_, nullptr, &timeout);
      if (got > 0) return false;
      if (errno == EAGAIN) return true;
    }
  }

 private:
  sigset_t set_;
  sigset_t old_;
};

// Said before the first one: hours of waiting should not end in "file exists".
absl::Status CheckNames(const SeriesOptions& options) {
  if (options.output == "-") {
    return absl::InvalidArgumentError("-o -: a series of snapshots needs files to go to");
  }
  if (options.write.force) return absl::OkStatus();
  struct stat info;
  for (int i = 1; i <= std::max(options.count, 1); ++i) {
    const std::string name = SeriesName(options.output, i, options.count);
    if (lstat(name.c_str(), &info) != 0) continue;
    return absl::AlreadyExistsError(absl::StrCat(name, ": exists already; -f replaces it"));
  }
  return absl::OkStatus();
}

void TellEnd(int taken, const SeriesOptions& options) {
  if (options.quiet || taken < kEnoughForLeaks) return;
  absl::string_view base = options.output;
  absl::ConsumeSuffix(&base, ".mtr");
  Say(absl::StrCat("next: memtrace report --leaks ", base, "-*.mtr"));
}

// The region as it is now. Whether another program was executed meanwhile is known from the other
// regions beside it.
RegionEntry Again(const RegionEntry& first) {
  const std::string folder = first.path.substr(0, first.path.rfind('/') + 1);
  if (!folder.empty()) {
    for (RegionEntry& entry : FindRegions({folder.substr(0, folder.size() - 1)})) {
      if (entry.path == first.path) return std::move(entry);
    }
  }
  return DescribeRegion(first.path);
}

// One snapshot more; false when the process is no more what it was.
absl::StatusOr<bool> TakeOne(const RegionEntry& first, int number, const SeriesOptions& options) {
  const RegionEntry entry = Again(first);
  if (!entry.status.ok() || !entry.alive()) return false;
  absl::StatusOr<Profile> profile = LoadRegion(entry, options.load);
  if (!profile.ok()) return profile.status();
  const std::string name = SeriesName(options.output, number, options.count);
  if (absl::Status s = WriteSnapshotFile(*profile, name, options.write); !s.ok()) return s;
  if (!options.quiet) {
    const Values totals = profile->MemoryTotals();
    Say(absl::StrFormat("saved %s (now %s in %s blocks)", name, FormatSize(totals.inuse_bytes),
                        FormatCount(totals.inuse_objects)));
  }
  return true;
}

}  // namespace

absl::StatusOr<absl::Duration> ParsePeriod(const std::string& text) {
  absl::Duration period;
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds)) {
    period = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, &period)) {
    period = absl::ZeroDuration();
  }
  if (period >= kShortest && period < absl::Hours(24 * 366)) return period;
  return absl::InvalidArgumentError(
      absl::StrCat("--every ", text, ": write a time, for example 500ms, 10s, 5m or 1h"));
}

std::string SeriesName(const std::string& output, int number, int count) {
  absl::string_view base = output;
  absl::ConsumeSuffix(&base, ".mtr");
  const int digits = std::max<int>(kFewestDigits, static_cast<int>(absl::StrCat(count).size()));
  return absl::StrFormat("%s-%0*d.mtr", base, digits, number);
}

absl::Status TakeSeries(const RegionEntry& entry, const SeriesOptions& options) {
  if (absl::Status s = CheckNames(options); !s.ok()) return s;
  const EndSignals signals;
  const absl::Time start = absl::Now();
  int taken = 0;
  for (int64_t moment = 0; options.count == 0 || taken < options.count;) {
    absl::StatusOr<bool> done = TakeOne(entry, taken + 1, options);
    if (!done.ok()) return done.status();
    if (!*done && taken == 0) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "process %d does not run any more; --every needs one that does", entry.pid));
    }
    if (!*done) {
      Say(absl::StrFormat("process %d has ended: %d snapshots", entry.pid, taken));
      break;
    }
    if (++taken == options.count) break;
    moment = std::max(moment + 1, (absl::Now() - start) / options.every + 1);
    if (!signals.SleepUntil(start + moment * options.every)) break;
  }
  TellEnd(taken, options);
  return absl::OkStatus();
}

}  // namespace memtrace
