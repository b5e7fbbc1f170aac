#include "tools/model/aggregate.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "tools/model/grouping.h"

namespace memtrace {
namespace {

bool MatchesProcess(const Process& process, const std::string& pick) {
  int32_t pid = 0;
  if (absl::SimpleAtoi(pick, &pid) && pid == process.pid) return true;
  const std::string script = ScriptOf(process.command);
  absl::string_view script_name = BaseName(script);
  if (!script.empty() && (script == pick || script_name == pick)) return true;
  if (!script.empty() && absl::ConsumeSuffix(&script_name, ".py") && script_name == pick)
    return true;
  if (!process.command.empty() && BaseName(process.command[0]) == pick) return true;
  return !process.executable.empty() && BaseName(process.executable) == pick;
}

// One a line, for a message: a tree may have thousands.
std::string ListOfProcesses(const Profile& profile) {
  constexpr size_t kMost = 20;
  std::string list;
  const size_t count = profile.processes.size();
  for (size_t i = 0; i < std::min(count, kMost); ++i) {
    const Process& process = profile.processes[i];
    absl::StrAppend(&list, "\n  ", process.pid, "  ", CommandText(process));
  }
  if (count > kMost) {
    absl::StrAppend(&list, "\nand ", count - kMost, " more: --by process shows them");
  }
  return list;
}

bool IsEmpty(const Row& row, Metric metric) {
  return SizeOf(row.values, metric) == 0 && CountOf(row.values, metric) == 0 &&
         SizeOf(row.old_values, metric) == 0 && CountOf(row.old_values, metric) == 0;
}

bool IsUnchanged(const Row& row, Metric metric) {
  return SizeOf(row.values, metric) == SizeOf(row.old_values, metric) &&
         CountOf(row.values, metric) == CountOf(row.old_values, metric);
}

// tracemalloc compares tracebacks as tuples of (file, line), oldest first.
int CompareTracebacks(const Row& a, const Row& b) {
  for (size_t i = 0; i < a.frames.size() && i < b.frames.size(); ++i) {
    const Place& x = *a.frames[a.frames.size() - 1 - i];
    const Place& y = *b.frames[b.frames.size() - 1 - i];
    if (&x == &y) continue;
    if (const int order = x.file.recorded.compare(y.file.recorded)) return order;
    if (x.line != y.line) return x.line < y.line ? -1 : 1;
  }
  if (a.frames.size() != b.frames.size()) return a.frames.size() < b.frames.size() ? -1 : 1;
  return a.key.compare(b.key);
}

// What tracemalloc sorts by, descending; changes are 0 in a report.
struct SortKey {
  int64_t size_change;
  int64_t size;
  int64_t count_change;
  int64_t count;
  uint32_t row;
};

SortKey SortKeyOf(uint32_t index, const Table& table) {
  const Row& row = table.rows[index];
  const Metric metric = table.view.metric;
  SortKey key{0, SizeOf(row.values, metric), 0, CountOf(row.values, metric), index};
  if (table.is_comparison) {
    key.size_change = std::abs(key.size - SizeOf(row.old_values, metric));
    key.count_change = std::abs(key.count - CountOf(row.old_values, metric));
  }
  return key;
}

// The keys are sorted, not the rows: those are large.
void SortRows(Table* table) {
  std::vector<SortKey> keys;
  keys.reserve(table->rows.size());
  for (uint32_t i = 0; i < table->rows.size(); ++i) keys.push_back(SortKeyOf(i, *table));
  std::sort(keys.begin(), keys.end(), [table](const SortKey& x, const SortKey& y) {
    if (x.size_change != y.size_change) return x.size_change > y.size_change;
    if (x.size != y.size) return x.size > y.size;
    if (x.count_change != y.count_change) return x.count_change > y.count_change;
    if (x.count != y.count) return x.count > y.count;
    return CompareTracebacks(table->rows[x.row], table->rows[y.row]) > 0;
  });
  std::vector<Row> sorted;
  sorted.reserve(keys.size());
  for (const SortKey& key : keys) sorted.push_back(std::move(table->rows[key.row]));
  table->rows = std::move(sorted);
}

}  // namespace

absl::Status CheckView(const View& view) {
  const bool by_place =
      view.by == GroupBy::kLine || view.by == GroupBy::kFile || view.by == GroupBy::kFunction;
  if (view.cumulative && !by_place) {
    return absl::InvalidArgumentError(
        "--cumulative goes with --by lineno, filename or function: only these have callers");
  }
  return absl::OkStatus();
}

bool IsBeside(const Row& row, const Table& table) {
  return table.view.domains.empty() && (row.domains & kAddressSpaceDomains) != 0;
}

int64_t WholeOf(const Row& row, const Table& table) {
  return IsBeside(row, table) ? 0 : SizeOf(table.whole, table.view.metric);
}

int64_t SizeOf(const Values& values, Metric metric) {
  switch (metric) {
    case Metric::kNow:
      return values.inuse_bytes;
    case Metric::kPeak:
      return values.peak_bytes;
    case Metric::kTotal:
      return values.alloc_bytes;
    case Metric::kTemporary:
      return values.temporary_bytes;
  }
  return 0;
}

int64_t CountOf(const Values& values, Metric metric) {
  switch (metric) {
    case Metric::kNow:
      return values.inuse_objects;
    case Metric::kPeak:
      return values.peak_objects;
    case Metric::kTotal:
      return values.alloc_objects;
    case Metric::kTemporary:
      return values.temporary_objects;
  }
  return 0;
}

std::string CommandText(const Process& process) {
  if (process.command.empty()) {
    return process.executable.empty() ? "(unknown program)" : process.executable;
  }
  return absl::StrCat(BaseName(process.command[0]), process.command.size() > 1 ? " " : "",
                      absl::StrJoin(process.command.begin() + 1, process.command.end(), " "));
}

absl::StatusOr<std::vector<uint32_t>> PickProcesses(const Profile& profile,
                                                    const std::string& pick) {
  std::vector<uint32_t> picked;
  for (uint32_t i = 0; i < profile.processes.size(); ++i) {
    if (pick.empty() || MatchesProcess(profile.processes[i], pick)) picked.push_back(i);
  }
  if (picked.empty() && !pick.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "no process \"", pick, "\" in the snapshot; it holds:", ListOfProcesses(profile)));
  }
  return picked;
}

absl::StatusOr<Table> Aggregate(const Profile& profile, const View& view) {
  if (absl::Status status = CheckView(view); !status.ok()) return status;
  Table table;
  table.view = view;
  Grouping grouping(view);
  absl::Status status = grouping.Add(profile, Grouping::kNew);
  if (!status.ok()) return status;
  std::move(grouping).MoveTo(&table);
  std::erase_if(table.rows, [&](const Row& row) { return IsEmpty(row, view.metric); });
  SortRows(&table);
  return table;
}

absl::StatusOr<Table> Compare(const Profile& old_profile, const Profile& new_profile,
                              const View& view) {
  if (absl::Status status = CheckView(view); !status.ok()) return status;
  Table table;
  table.view = view;
  table.is_comparison = true;
  Grouping grouping(view);
  // A process that is in one profile only has appeared or gone; in neither, the name is wrong.
  absl::Status of_new = grouping.Add(new_profile, Grouping::kNew);
  absl::Status of_old = grouping.Add(old_profile, Grouping::kOld);
  if (!of_new.ok() && !of_old.ok()) return of_new;
  std::move(grouping).MoveTo(&table);
  std::erase_if(table.rows, [&](const Row& row) {
    return IsEmpty(row, view.metric) || (!view.keep_unchanged && IsUnchanged(row, view.metric));
  });
  SortRows(&table);
  return table;
}

}  // namespace memtrace
