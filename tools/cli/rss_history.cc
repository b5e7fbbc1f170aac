#include "tools/cli/rss_history.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_format.h"

namespace memtrace {

void RssHistory::Sample(int32_t pid, int64_t now_realtime_ns) {
  if (!points_.empty() && now_realtime_ns - points_.back().realtime_ns < interval_ns_) return;
  char text[128] = {};
  const int fd = open(absl::StrFormat("/proc/%d/statm", pid).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t bytes = read(fd, text, sizeof(text) - 1);
  close(fd);
  long long size = 0, resident = 0;
  // A zombie has none.
  if (bytes <= 0 || std::sscanf(text, "%lld %lld", &size, &resident) != 2 || resident == 0) return;
  Add(now_realtime_ns, resident * sysconf(_SC_PAGESIZE));
}

void RssHistory::Add(int64_t realtime_ns, int64_t rss_bytes) {
  if (points_.size() == kMost) {
    for (size_t i = 0; i + 1 < kMost; i += 2) {
      points_[i / 2] = {points_[i].realtime_ns,
                        std::max(points_[i].rss_bytes, points_[i + 1].rss_bytes)};
    }
    points_.resize(kMost / 2);
    interval_ns_ = points_[1].realtime_ns - points_[0].realtime_ns;
  }
  points_.push_back({realtime_ns, rss_bytes});
}

void RssHistory::AnnotateTimeline(Process* process) const {
  std::vector<TimelineBucket>& buckets = process->timeline;
  for (const Point& point : points_) {
    const int64_t elapsed = point.realtime_ns - process->start_realtime_ns;
    // The bucket that began last before the sample.
    auto next = std::upper_bound(
        buckets.begin(), buckets.end(), elapsed,
        [](int64_t at, const TimelineBucket& bucket) { return at < bucket.elapsed_ns; });
    if (next == buckets.begin()) continue;  // before recording began: another image's
    --next;
    next->rss_bytes = std::max(next->rss_bytes, point.rss_bytes);
  }
}

}  // namespace memtrace
