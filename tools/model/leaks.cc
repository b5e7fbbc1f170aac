#include "tools/model/leaks.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "tools/model/threshold.h"

namespace memtrace {
namespace {

constexpr size_t kFewestSnapshots = 3;  // with two there is nothing to tell a trend from

bool IsSame(const Process& a, const Process& b) {
  return a.pid == b.pid && a.start_realtime_ns == b.start_realtime_ns;
}

bool AlwaysGrows(const std::vector<int64_t>& figures) {
  return std::adjacent_find(figures.begin(), figures.end(),
                            [](int64_t a, int64_t b) { return a >= b; }) == figures.end();
}

Trend TrendOf(const std::vector<double>& seconds, const std::vector<int64_t>& figures) {
  return FitTrend(seconds, std::vector<double>(figures.begin(), figures.end()));
}

// Keys of stacks hold numbers that depend on the order of the snapshots: their places do not.
bool IsBefore(const Row& a, const Row& b) {
  const auto less = [](const PlaceRef& x, const PlaceRef& y) {
    return std::tie(x->file.key, x->line, x->function, x->address) <
           std::tie(y->file.key, y->line, y->function, y->address);
  };
  if (a.label != b.label) return a.label < b.label;
  return std::lexicographical_compare(a.frames.begin(), a.frames.end(), b.frames.begin(),
                                      b.frames.end(), less);
}

void Sort(std::vector<LeakRow>* rows) {
  std::sort(rows->begin(), rows->end(), [](const LeakRow& a, const LeakRow& b) {
    if (a.bytes_trend.slope != b.bytes_trend.slope) {
      return a.bytes_trend.slope > b.bytes_trend.slope;
    }
    if (a.bytes.back() != b.bytes.back()) return a.bytes.back() > b.bytes.back();
    return IsBefore(a.row, b.row);
  });
}

// A slope against a limit.
bool Breaks(const GrowthLimit& limit, double per_second) {
  return limit.or_equal ? per_second >= limit.per_second : per_second > limit.per_second;
}

absl::Status BadLimit(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("--fail-on \"", text,
                   "\": with --leaks write a rate: a number with B, kB, MB, GB, KiB, MiB, GiB or "
                   "blocks, and /s, "
                   "/min, /h or /d; for example 1MiB/h, or total:>5MiB/h"));
}

}  // namespace

// Which process of a snapshot is meant.
absl::StatusOr<uint32_t> LeakFinder::PickProcess(const Profile& profile,
                                                 const std::string& name) const {
  absl::StatusOr<std::vector<uint32_t>> picked = PickProcesses(profile, view_.process);
  if (!picked.ok())
    return absl::Status(picked.status().code(),
                        absl::StrCat(name, ": ", picked.status().message()));
  if (!columns_.empty()) {
    for (uint32_t i : *picked) {
      if (IsSame(profile.processes[i], process_)) return i;
    }
  }
  if (picked->size() > 1 && columns_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: holds %d processes; name the one to look at with --process PID", name,
                        picked->size()));
  }
  if (picked->empty() || profile.processes[picked->front()].pid == 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: does not say which process it is of; --leaks needs snapshots made by memtrace", name));
  }
  if (columns_.empty()) return picked->front();
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s is of process %d (%s), but %s is of process %d (%s)%s; --leaks needs snapshots of one "
      "process",
      name, profile.processes[picked->front()].pid, CommandText(profile.processes[picked->front()]),
      columns_.front().moment.name, process_.pid, CommandText(process_),
      profile.processes[picked->front()].pid == process_.pid ? ", started at another time" : ""));
}

absl::Status LeakFinder::Add(Profile profile, const std::string& name) {
  absl::StatusOr<uint32_t> process = PickProcess(profile, name);
  if (!process.ok()) return process.status();
  if (columns_.empty()) process_ = profile.processes[*process];
  Column column;
  column.moment.name = name;
  column.moment.taken_realtime_ns = profile.taken_realtime_ns;
  column.moment.elapsed_ns = profile.processes[*process].duration_ns;
  grouping_.AddProcesses(profile, {*process}, Grouping::kNew);
  for (const Values& values : grouping_.TakeColumn()) {
    column.figures.emplace_back(values.inuse_bytes, values.inuse_objects);
  }
  const Values selected = grouping_.TakeSelected();
  column.moment.bytes = selected.inuse_bytes;
  column.moment.blocks = selected.inuse_objects;
  const bool is_latest = std::all_of(columns_.begin(), columns_.end(), [&](const Column& c) {
    return c.moment.elapsed_ns < column.moment.elapsed_ns;
  });
  if (is_latest) latest_ = std::move(profile);
  columns_.push_back(std::move(column));
  return absl::OkStatus();
}

absl::Status LeakFinder::CheckSeries() const {
  if (view_.metric != Metric::kNow) {
    return absl::InvalidArgumentError("--leaks looks at live memory: leave --at out");
  }
  if (columns_.size() < kFewestSnapshots) {
    return absl::InvalidArgumentError(
        absl::StrFormat("--leaks needs at least %d snapshots of one process, and there %s %d; "
                        "`memtrace snapshot PID --every 10s --count 5` takes them",
                        kFewestSnapshots, columns_.size() == 1 ? "is" : "are", columns_.size()));
  }
  for (size_t i = 1; i < columns_.size(); ++i) {
    const LeakMoment& a = columns_[i - 1].moment;
    const LeakMoment& b = columns_[i].moment;
    if (a.elapsed_ns != b.elapsed_ns) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(a.name, " and ", b.name,
                     " are of the same moment; --leaks needs snapshots of different ones"));
  }
  return absl::OkStatus();
}

LeakRow LeakFinder::RowAt(size_t index, Row row, const std::vector<double>& seconds) const {
  LeakRow out;
  for (const Column& column : columns_) {
    const bool known = index < column.figures.size();  // a row may appear in a later snapshot
    out.bytes.push_back(known ? column.figures[index].first : 0);
    out.blocks.push_back(known ? column.figures[index].second : 0);
  }
  const size_t last = columns_.size() - 1;
  out.row = std::move(row);
  out.row.values.inuse_bytes = out.bytes[last];
  out.row.values.inuse_objects = out.blocks[last];
  out.row.old_values.inuse_bytes = out.bytes[0];
  out.row.old_values.inuse_objects = out.blocks[0];
  out.lately = static_cast<double>(out.bytes[last] - out.bytes[last - 1]) /
               (seconds[last] - seconds[last - 1]);
  return out;
}

absl::StatusOr<LeakTable> LeakFinder::Finish() {
  std::sort(columns_.begin(), columns_.end(), [](const Column& a, const Column& b) {
    return a.moment.elapsed_ns < b.moment.elapsed_ns;
  });
  for (const absl::Status& status : {CheckView(view_), CheckSeries()}) {
    if (!status.ok()) return status;
  }
  LeakTable table;
  table.view = view_;
  std::vector<double> seconds;
  std::vector<int64_t> bytes, blocks;
  for (Column& column : columns_) {
    seconds.push_back(static_cast<double>(column.moment.elapsed_ns) / 1e9);
    bytes.push_back(column.moment.bytes);
    blocks.push_back(column.moment.blocks);
    table.moments.push_back(column.moment);
  }
  table.total_bytes = TrendOf(seconds, bytes);
  table.total_blocks = TrendOf(seconds, blocks);

  Table rows;
  std::move(grouping_).MoveTo(&rows);
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    LeakRow row = RowAt(i, std::move(rows.rows[i]), seconds);
    if (!AlwaysGrows(row.bytes)) {
      table.stopped += row.bytes.back() > row.bytes.front();
      continue;
    }
    row.bytes_trend = TrendOf(seconds, row.bytes);
    row.blocks_trend = TrendOf(seconds, row.blocks);
    table.rows.push_back(std::move(row));
  }
  Sort(&table.rows);
  return table;
}

absl::StatusOr<GrowthLimit> ParseGrowthLimit(absl::string_view text) {
  GrowthLimit limit;
  limit.text = std::string(absl::StripAsciiWhitespace(text));
  absl::string_view rest = limit.text;
  limit.total = absl::ConsumePrefix(&rest, "total:");
  if (absl::ConsumePrefix(&rest, ">")) limit.or_equal = absl::ConsumePrefix(&rest, "=");
  const size_t slash = rest.rfind('/');
  if (slash == absl::string_view::npos) return BadLimit(text);
  constexpr std::pair<absl::string_view, double> kTimes[] = {
      {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
  const absl::string_view unit = absl::StripAsciiWhitespace(rest.substr(slash + 1));
  const auto time = std::find_if(std::begin(kTimes), std::end(kTimes),
                                 [&](const auto& known) { return known.first == unit; });
  Condition amount;
  if (time == std::end(kTimes) ||
      !ParseAmount(absl::StripAsciiWhitespace(rest.substr(0, slash)), &amount) ||
      amount.unit == RuleUnit::kPercent) {
    return BadLimit(text);
  }
  limit.in_blocks = amount.unit == RuleUnit::kBlocks;
  limit.per_second = amount.limit / time->second;
  return limit;
}

std::optional<GrowthBreach> CheckGrowth(const GrowthLimit& limit, const LeakTable& table) {
  const auto trend = [&](const Trend& bytes, const Trend& blocks) -> const Trend& {
    return limit.in_blocks ? blocks : bytes;
  };
  GrowthBreach breach;
  breach.limit = limit;
  const auto consider = [&](const Trend& t, const Row* row) {
    if (t.slope <= 0 || !Breaks(limit, t.slope)) return;
    ++breach.rows;
    if (breach.rows > 1 && t.slope <= breach.per_second) return;
    breach.per_second = t.slope;
    breach.confidence = t.confidence;
    breach.row = row;
  };
  if (limit.total) {
    consider(trend(table.total_bytes, table.total_blocks), nullptr);
  } else {
    for (const LeakRow& row : table.rows) {
      consider(trend(row.bytes_trend, row.blocks_trend), &row.row);
    }
  }
  if (breach.rows == 0) return std::nullopt;
  return breach;
}

}  // namespace memtrace
