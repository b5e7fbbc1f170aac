// Limits on growth: `memtrace compare --fail-on RULE`, the check of a CI run.
//
//   rule      = [ scope ":" ] condition { "&&" condition }
//   scope     = "total" | "line" | "function" | "file"            default: total
//   condition = [ metric ] ( ">" | ">=" ) number [ unit ]
//   metric    = "inuse" | "peak" | "alloc" | "temporary"
//   unit      = "%" | "B" | "kB" | "MB" | "GB" | "TB" | "KiB" | "MiB" | "GiB" | "TiB" | "blocks"
//
// Without a metric it is that of the condition before, at first inuse.
//
// A number is the growth from OLD to NEW; a percentage is relative to OLD, and infinite for what
// OLD did not have. A rule is broken when all its conditions hold for the total, or for any one
// line (function, file). Total is the default because lines move when a source is edited: a moved
// line is a new line; `function` does not mind.
//
// The view's filters (domain, include, exclude, own, process) apply before the rule.

#ifndef MEMTRACE_TOOLS_MODEL_THRESHOLD_H_
#define MEMTRACE_TOOLS_MODEL_THRESHOLD_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/model/aggregate.h"

namespace memtrace {

enum class RuleScope { kTotal, kLine, kFunction, kFile };
enum class RuleUnit { kBytes, kBlocks, kPercent };

struct Condition {
  Metric metric = Metric::kNow;
  bool or_equal = false;
  double limit = 0;
  RuleUnit unit = RuleUnit::kBytes;
};

struct Rule {
  std::string text;
  RuleScope scope = RuleScope::kTotal;
  std::vector<Condition> conditions;
};

// What a broken rule is about.
struct Breach {
  Rule rule;
  Metric metric = Metric::kNow;  // of the rule's first condition
  bool in_blocks = false;
  int64_t before = 0;  // of the total, or of the row
  int64_t after = 0;
  // The row that broke it; of a total, the one that grew most. Absent if none grew.
  std::optional<Row> row;
  size_t rows = 0;  // how many rows broke it
};

absl::StatusOr<Rule> ParseRule(absl::string_view text);

// "2.5MiB" -> limit and unit; false when it is no amount.
bool ParseAmount(absl::string_view text, Condition* condition);

// The breach of one rule, or nothing.
absl::StatusOr<std::optional<Breach>> CheckRule(const Rule& rule, const Profile& old_profile,
                                                const Profile& new_profile, const View& view);

const char* MetricWord(Metric metric);  // "inuse", "peak", "alloc", "temporary"

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_THRESHOLD_H_
