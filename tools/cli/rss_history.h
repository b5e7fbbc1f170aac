// Resident memory of a process over time, sampled from outside.
//
// Bounded: when kMost samples are there, neighbours merge (the higher one stays) and the interval
// doubles.
#ifndef MEMTRACE_TOOLS_CLI_RSS_HISTORY_H_
#define MEMTRACE_TOOLS_CLI_RSS_HISTORY_H_

#include <cstdint>
#include <vector>

#include "tools/model/profile.h"

namespace memtrace {

class RssHistory {
 public:
  static constexpr size_t kMost = 2000;

  // Reads /proc/PID/statm, if it is time to.
  void Sample(int32_t pid, int64_t now_realtime_ns);
  void Add(int64_t realtime_ns, int64_t rss_bytes);

  // Puts into each bucket of the process's timeline the highest sample of its time.
  void AnnotateTimeline(Process* process) const;

  struct Point {
    int64_t realtime_ns;
    int64_t rss_bytes;
  };
  const std::vector<Point>& points() const { return points_; }
  int64_t latest() const { return points_.empty() ? 0 : points_.back().rss_bytes; }

 private:
  std::vector<Point> points_;
  int64_t interval_ns_ = 0;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_CLI_RSS_HISTORY_H_
