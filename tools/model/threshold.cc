#include "tools/model/threshold.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace memtrace {
namespace {

struct UnitName {
  absl::string_view name;
  double factor;
  RuleUnit unit;
};

constexpr UnitName kUnits[] = {{"", 1, RuleUnit::kBytes},
                               {"b", 1, RuleUnit::kBytes},
                               {"kb", 1e3, RuleUnit::kBytes},
                               {"mb", 1e6, RuleUnit::kBytes},
                               {"gb", 1e9, RuleUnit::kBytes},
                               {"tb", 1e12, RuleUnit::kBytes},
                               {"kib", 1024, RuleUnit::kBytes},
                               {"mib", 1048576, RuleUnit::kBytes},
                               {"gib", 1073741824, RuleUnit::kBytes},
                               {"tib", 1099511627776, RuleUnit::kBytes},
                               {"blocks", 1, RuleUnit::kBlocks},
                               {"%", 1, RuleUnit::kPercent}};

absl::Status BadRule(absl::string_view rule, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--fail-on \"", rule, "\": ", why, "; write for example inuse>5%&&>2MiB, or line:peak>1MiB"));
}

bool ParseScope(absl::string_view text, RuleScope* scope) {
  constexpr absl::string_view kNames[] = {"total", "line", "function", "file"};
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (text != kNames[i]) continue;
    *scope = static_cast<RuleScope>(i);
    return true;
  }
  return false;
}

bool ParseMetric(absl::string_view text, Metric* metric) {
  if (text.empty()) return true;
  for (Metric known : {Metric::kNow, Metric::kPeak, Metric::kTotal, Metric::kTemporary}) {
    if (text != MetricWord(known)) continue;
    *metric = known;
    return true;
  }
  return false;
}

absl::StatusOr<Condition> ParseCondition(absl::string_view rule, absl::string_view text,
                                         Metric metric) {
  Condition condition;
  condition.metric = metric;
  const size_t sign = text.find('>');
  if (sign == absl::string_view::npos) return BadRule(rule, "a condition needs > or >=");
  const absl::string_view word = absl::StripAsciiWhitespace(text.substr(0, sign));
  if (!ParseMetric(word, &condition.metric)) {
    return BadRule(rule, absl::StrCat("\"", word, "\" is none of inuse, peak, alloc, temporary"));
  }
  text.remove_prefix(sign + 1);
  condition.or_equal = absl::ConsumePrefix(&text, "=");
  text = absl::StripAsciiWhitespace(text);
  if (!ParseAmount(text, &condition)) {
    return BadRule(rule, absl::StrCat("\"", text,
                                      "\" is no amount (a number with %, B, kB, MB, GB, TB, KiB, "
                                      "MiB, GiB, TiB or blocks)"));
  }
  return condition;
}

int64_t Figure(const Values& values, Metric metric, bool blocks) {
  return blocks ? CountOf(values, metric) : SizeOf(values, metric);
}

bool Holds(const Condition& condition, const Values& before, const Values& after) {
  const bool blocks = condition.unit == RuleUnit::kBlocks;
  const double from = static_cast<double>(Figure(before, condition.metric, blocks));
  const double to = static_cast<double>(Figure(after, condition.metric, blocks));
  double growth = to - from;
  // Not grown is never too much, not even with a limit of 0 and >=.
  if (growth <= 0) return false;
  if (condition.unit == RuleUnit::kPercent) {
    growth = from > 0 ? 100 * growth / from : std::numeric_limits<double>::infinity();
  }
  return condition.or_equal ? growth >= condition.limit : growth > condition.limit;
}

bool Breaks(const Rule& rule, const Values& before, const Values& after) {
  return std::all_of(rule.conditions.begin(), rule.conditions.end(),
                     [&](const Condition& c) { return Holds(c, before, after); });
}

GroupBy GroupingFor(RuleScope scope) {
  switch (scope) {
    case RuleScope::kFunction:
      return GroupBy::kFunction;
    case RuleScope::kFile:
      return GroupBy::kFile;
    default:
      return GroupBy::kLine;
  }
}

}  // namespace

bool ParseAmount(absl::string_view text, Condition* condition) {
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string unit = absl::AsciiStrToLower(absl::StripAsciiWhitespace(text.substr(end)));
  double number = 0;
  if (end == 0 || !absl::SimpleAtod(text.substr(0, end), &number)) return false;
  for (const UnitName& known : kUnits) {
    if (unit != known.name) continue;
    condition->limit = number * known.factor;
    condition->unit = known.unit;
    return true;
  }
  return false;
}

const char* MetricWord(Metric metric) {
  switch (metric) {
    case Metric::kNow:
      return "inuse";
    case Metric::kPeak:
      return "peak";
    case Metric::kTotal:
      return "alloc";
    case Metric::kTemporary:
      return "temporary";
  }
  return "";
}

absl::StatusOr<Rule> ParseRule(absl::string_view text) {
  Rule rule;
  rule.text = std::string(absl::StripAsciiWhitespace(text));
  absl::string_view rest = rule.text;
  const size_t colon = rest.find(':');
  if (colon != absl::string_view::npos) {
    const absl::string_view scope = absl::StripAsciiWhitespace(rest.substr(0, colon));
    if (!ParseScope(scope, &rule.scope)) {
      return BadRule(text, absl::StrCat("\"", scope, "\" is none of total, line, function, file"));
    }
    rest.remove_prefix(colon + 1);
  }
  Metric metric = Metric::kNow;
  for (absl::string_view part : absl::StrSplit(rest, "&&")) {
    absl::StatusOr<Condition> condition = ParseCondition(text, part, metric);
    if (!condition.ok()) return condition.status();
    metric = condition->metric;
    rule.conditions.push_back(*condition);
  }
  return rule;
}

absl::StatusOr<std::optional<Breach>> CheckRule(const Rule& rule, const Profile& old_profile,
                                                const Profile& new_profile, const View& view) {
  View wanted = view;
  wanted.by = GroupingFor(rule.scope);
  wanted.cumulative = false;
  wanted.keep_unchanged = true;
  wanted.metric = rule.conditions[0].metric;
  absl::StatusOr<Table> table = Compare(old_profile, new_profile, wanted);
  if (!table.ok()) return table.status();

  Breach breach;
  breach.rule = rule;
  breach.metric = wanted.metric;
  breach.in_blocks = rule.conditions[0].unit == RuleUnit::kBlocks;
  const auto figure = [&](const Values& v) { return Figure(v, breach.metric, breach.in_blocks); };
  const bool total = rule.scope == RuleScope::kTotal;
  int64_t most = 0;
  for (const Row& row : table->rows) {
    if (!total && !Breaks(rule, row.old_values, row.values)) continue;
    ++breach.rows;
    const int64_t growth = figure(row.values) - figure(row.old_values);
    if (growth <= most) continue;
    most = growth;
    breach.row = row;
  }
  if (total && !Breaks(rule, table->old_selected, table->selected)) return std::nullopt;
  if (!total && !breach.row.has_value()) return std::nullopt;
  breach.before = figure(total ? table->old_selected : breach.row->old_values);
  breach.after = figure(total ? table->selected : breach.row->values);
  return breach;
}

}  // namespace memtrace
