#include "tools/read/source_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

constexpr size_t kTopLines = 1000;
constexpr double kLeastShare = 0.001;
constexpr size_t kMaxTextBytes = 400;

// Sums may pass 64 bits in a hostile profile; doubles are good enough to rank by.
using Metrics = std::array<double, 5>;

Metrics MetricsOf(const Values& v) {
  return {static_cast<double>(v.alloc_bytes), static_cast<double>(v.inuse_bytes),
          static_cast<double>(v.peak_bytes), static_cast<double>(v.alloc_objects),
          static_cast<double>(v.inuse_objects)};
}

void Add(Metrics* to, const Metrics& from) {
  for (size_t i = 0; i < to->size(); ++i) (*to)[i] += from[i];
}

using LineKey = std::pair<StringId, int64_t>;

// Figures of each line with all that it called. A stack that holds a line twice counts twice, which
// is good enough for choosing lines.
std::map<LineKey, Metrics> FiguresByLine(const Profile& profile, Metrics* totals) {
  std::vector<Metrics> of_node(profile.nodes().size(), Metrics{});
  std::map<LineKey, Metrics> lines;
  const auto add_frame = [&](FrameId id, const Metrics& metrics) {
    const Frame& frame = profile.frame(id);
    if (frame.line > 0) {
      Add(&lines[{profile.function(frame.function).filename, frame.line}], metrics);
    }
  };
  for (const Sample& sample : profile.samples()) {
    const Metrics metrics = MetricsOf(sample.values);
    Add(totals, metrics);
    Add(&of_node[sample.node], metrics);
    if (sample.caller != 0) add_frame(sample.caller, metrics);
  }
  for (NodeId node = static_cast<NodeId>(of_node.size()); node-- > 1;) {
    Add(&of_node[profile.node(node).parent], of_node[node]);
    add_frame(profile.node(node).frame, of_node[node]);
  }
  return lines;
}

double LargestShare(const Metrics& metrics, const Metrics& totals) {
  double share = 0;
  for (size_t i = 0; i < metrics.size(); ++i) {
    if (totals[i] > 0) share = std::max(share, metrics[i] / totals[i]);
  }
  return share;
}

std::vector<LineKey> LinesThatMatter(const Profile& profile) {
  Metrics totals = {};
  std::vector<std::pair<double, LineKey>> ranked;
  for (const auto& [line, metrics] : FiguresByLine(profile, &totals)) {
    ranked.emplace_back(-LargestShare(metrics, totals), line);
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<LineKey> lines;
  for (size_t i = 0; i < ranked.size() && i < kMaxLines; ++i) {
    if (i >= kTopLines && -ranked[i].first < kLeastShare) break;
    lines.push_back(ranked[i].second);
  }
  return lines;
}

// The file's text; empty when it cannot be read, is no plain file, or changed since `start_ns`.
std::string ReadSource(const std::string& path, int64_t start_ns) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return "";
  std::string text;
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= kMaxFileBytes &&
      int64_t{info.st_mtim.tv_sec} * 1000000000 + info.st_mtim.tv_nsec <= start_ns) {
    text.resize(static_cast<size_t>(info.st_size));
    size_t done = 0;
    ssize_t bytes = 0;
    while (done < text.size() && (bytes = read(fd, &text[done], text.size() - done)) > 0) {
      done += static_cast<size_t>(bytes);
    }
    text.resize(done);
  }
  close(fd);
  return text;
}

// Adds the wanted lines (ascending) of one file.
void AddLinesOfFile(absl::string_view text, StringId filename, const std::vector<int64_t>& wanted,
                    Profile* profile) {
  int64_t line = 1;
  auto next = wanted.begin();
  while (next != wanted.end() && !text.empty()) {
    const size_t end = text.find('\n');
    absl::string_view content = text.substr(0, end);
    if (line == *next) {
      content = absl::StripAsciiWhitespace(content);
      std::string stored = ValidUtf8(std::string(content.substr(0, kMaxTextBytes)));
      if (!stored.empty()) profile->source_lines.push_back({filename, line, std::move(stored)});
      ++next;
    }
    text.remove_prefix(end == absl::string_view::npos ? text.size() : end + 1);
    ++line;
  }
}

}  // namespace

void AddSourceLines(Profile* profile) {
  std::map<StringId, std::vector<int64_t>> wanted;
  for (const auto& [filename, line] : LinesThatMatter(*profile)) wanted[filename].push_back(line);
  std::string folder;
  int64_t start_ns = INT64_MAX;
  if (!profile->processes.empty()) {
    folder = profile->processes.front().working_dir;
    start_ns = profile->processes.front().start_realtime_ns;
  }
  for (auto& [filename, lines] : wanted) {
    const std::string name = profile->string(filename);
    if (name.empty() || name[0] == '<') continue;  // "<string>", "<frozen importlib._bootstrap>"
    std::sort(lines.begin(), lines.end());
    const std::string path = name[0] == '/' ? name : absl::StrCat(folder, "/", name);
    AddLinesOfFile(ReadSource(path, start_ns), filename, lines, profile);
  }
}

}  // namespace memtrace
