#include "tools/render/breach.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tools/render/units.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

std::string Amount(int64_t amount, bool blocks) {
  return blocks ? absl::StrCat(FormatCount(amount), " blocks") : FormatSize(amount);
}

GroupBy GroupingOf(const Breach& breach) {
  switch (breach.rule.scope) {
    case RuleScope::kFunction:
      return GroupBy::kFunction;
    case RuleScope::kFile:
      return GroupBy::kFile;
    default:
      return GroupBy::kLine;
  }
}

std::string EscapeMessage(const std::string& text) {
  return absl::StrReplaceAll(text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}});
}

std::string EscapeProperty(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}, {":", "%3A"}, {",", "%2C"}});
}

std::string FileFor(const FileName& file, const std::string& workspace) {
  const std::string folder = absl::StrCat(workspace, "/");
  if (!workspace.empty() && absl::StartsWith(file.absolute, folder)) {
    return file.absolute.substr(folder.size());
  }
  return file.shown;
}

// `row`: the one to blame, or null.
std::string Annotation(const std::string& sentence, const Row* row, const std::string& workspace) {
  std::string properties;
  if (row != nullptr && !row->frames.empty()) {
    const Place& place = *row->frames[0];
    const std::string file = FileFor(place.file, workspace);
    if (!file.empty()) absl::StrAppend(&properties, "file=", EscapeProperty(file), ",");
    if (!file.empty() && place.line > 0) absl::StrAppend(&properties, "line=", place.line, ",");
  }
  return absl::StrCat("::error ", properties, "title=memtrace::", EscapeMessage(sentence), "\n");
}

}  // namespace

std::string BreachSentence(const Breach& breach) {
  const bool blocks = breach.in_blocks;
  const bool total = breach.rule.scope == RuleScope::kTotal;
  const std::string share = FormatShare(breach.after - breach.before, breach.before);
  std::string place = breach.row.has_value() ? RowText(*breach.row, GroupingOf(breach)) : "";
  std::string text = absl::StrCat(total ? "" : absl::StrCat(place, ": "), MetricWord(breach.metric),
                                  " grew by ", Amount(breach.after - breach.before, blocks),
                                  share.empty() ? "" : absl::StrCat(" (", share, ")"), ", from ",
                                  Amount(breach.before, blocks), " to ",
                                  Amount(breach.after, blocks), ", past ", breach.rule.text);
  if (total && breach.row.has_value()) {
    const int64_t growth = blocks ? CountOf(breach.row->values, breach.metric) -
                                        CountOf(breach.row->old_values, breach.metric)
                                  : SizeOf(breach.row->values, breach.metric) -
                                        SizeOf(breach.row->old_values, breach.metric);
    absl::StrAppend(&text, "; most of it at ", place, " (+", Amount(growth, blocks), ")");
  }
  if (!total && breach.rows > 1) {
    absl::StrAppend(&text, "; and ", breach.rows - 1, " more broke the same limit");
  }
  return text;
}

std::string GrowthSentence(const GrowthBreach& breach, GroupBy by) {
  const std::string rate = breach.limit.in_blocks
                               ? absl::StrCat(FormatRate(breach.per_second), " blocks/s")
                               : FormatSizeRate(breach.per_second);
  std::string text =
      absl::StrCat(breach.row == nullptr ? "live memory" : RowText(*breach.row, by),
                   breach.row == nullptr ? " grows by " : ": grows by ", rate, " (confidence ",
                   FormatConfidence(breach.confidence), "), past ", breach.limit.text);
  if (breach.rows > 1) {
    absl::StrAppend(&text, "; and ", breach.rows - 1, " more broke the same limit");
  }
  return text;
}

std::string BreachAnnotation(const Breach& breach, const std::string& workspace) {
  return Annotation(BreachSentence(breach), breach.row.has_value() ? &*breach.row : nullptr,
                    workspace);
}

std::string GrowthAnnotation(const GrowthBreach& breach, GroupBy by, const std::string& workspace) {
  return Annotation(GrowthSentence(breach, by), breach.row, workspace);
}

}  // namespace memtrace
