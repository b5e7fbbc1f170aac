#include "tools/render/ledger.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/render/markdown.h"
#include "tools/render/units.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

constexpr int kIndent = 2;
constexpr int kGap = 2;
constexpr int64_t kUnexplainedShare = 100;  // shown from a hundredth on
constexpr size_t kTextItems = 3;

std::string Label(LedgerKind kind, bool located) {
  switch (kind) {
    case LedgerKind::kLive:
      return "live blocks";
    case LedgerKind::kAllocatorSlack:
      return located ? "malloc, beyond its live blocks" : "allocators, beyond the live blocks";
    case LedgerKind::kPythonSlack:
      return "Python's arenas, beyond the live blocks";
    case LedgerKind::kOtherAllocators:
      return "other allocators, beyond the live blocks";
    case LedgerKind::kFiles:
      return "program, libraries and mapped files";
    case LedgerKind::kStacks:
      return "stacks";
    case LedgerKind::kAnonymous:
      return "anonymous mappings";
    case LedgerKind::kRecorder:
      return "memtrace itself";
    case LedgerKind::kUnexplained:
      break;
  }
  return "unexplained";
}

bool IsShown(const LedgerPart& part, const Ledger& ledger) {
  return part.kind != LedgerKind::kUnexplained || part.bytes > ledger.rss_bytes / kUnexplainedShare;
}

struct Line {
  std::string size, second, label, items;
};

// Files by their names alone: lines are read by people, and paths are long.
std::string Items(const LedgerPart& part) {
  std::vector<std::string> items;
  for (const LedgerItem& item : part.items) {
    if (items.size() == kTextItems) break;
    const bool is_file = part.kind == LedgerKind::kFiles;
    const std::string name = is_file ? item.name.substr(item.name.rfind('/') + 1) : item.name;
    items.push_back(absl::StrCat(Printable(name), " ", FormatSize(item.bytes)));
  }
  return absl::StrJoin(items, ", ");
}

std::vector<Line> Lines(const Ledger& ledger) {
  std::vector<Line> lines;
  for (const LedgerPart& part : ledger.parts) {
    if (!IsShown(part, ledger)) continue;
    lines.push_back({FormatSize(part.bytes), FormatShare(part.bytes, ledger.rss_bytes),
                     Label(part.kind, ledger.why.empty()), Items(part)});
  }
  return lines;
}

// By how much each part has grown, the largest change first.
std::vector<Line> Changes(const Ledger& before, const Ledger& after) {
  std::vector<std::pair<int64_t, Line>> changes;
  for (uint32_t i = 0; i < kLedgerKinds; ++i) {
    const auto kind = static_cast<LedgerKind>(i);
    const int64_t change = after.Bytes(kind) - before.Bytes(kind);
    if (change == 0) continue;
    changes.push_back({change,
                       {FormatSize(after.Bytes(kind)), FormatSignedSize(change),
                        Label(kind, before.why.empty() && after.why.empty()), ""}});
  }
  std::stable_sort(changes.begin(), changes.end(), [](const auto& a, const auto& b) {
    return std::abs(a.first) > std::abs(b.first);
  });
  std::vector<Line> lines;
  for (auto& [change, line] : changes) lines.push_back(std::move(line));
  return lines;
}

std::string PadLeft(const std::string& text, int width) {
  return absl::StrCat(std::string(std::max(width - DisplayWidth(text), 0), ' '), text);
}

std::string Aligned(const std::vector<Line>& lines, const Terminal& terminal) {
  int size = 0, second = 0, label = 0;
  for (const Line& line : lines) {
    size = std::max(size, DisplayWidth(line.size));
    second = std::max(second, DisplayWidth(line.second));
    label = std::max(label, DisplayWidth(line.label));
  }
  std::string out;
  for (const Line& line : lines) {
    const std::string gap(kGap, ' ');
    std::string text = absl::StrCat(std::string(kIndent, ' '), PadLeft(line.size, size), gap,
                                    PadLeft(line.second, second), gap, line.label);
    if (!line.items.empty()) {
      const std::string space(std::max(label - DisplayWidth(line.label), 0), ' ');
      absl::StrAppend(&text, space, gap, line.items);
    }
    if (terminal.columns > 0) text = CutToWidth(text, terminal.columns);
    absl::StrAppend(&out, text, "\n");
  }
  return out;
}

// Sentences below the parts.
std::vector<std::string> Remarks(const Ledger& ledger) {
  std::vector<std::string> remarks;
  const int64_t live = ledger.Bytes(LedgerKind::kLive);
  if (ledger.live_bytes - live > ledger.rss_bytes / kUnexplainedShare) {
    remarks.push_back(absl::StrCat("Of ", FormatSize(ledger.live_bytes), " of live blocks ",
                                   FormatSize(ledger.live_bytes - live),
                                   " are not in memory: never touched, or swapped out."));
  }
  if (!ledger.why.empty()) {
    remarks.push_back(
        absl::StrCat("In whose memory the blocks lie is not known: ", Printable(ledger.why), "."));
  }
  if (ledger.pinned_arenas == 0) return remarks;
  remarks.push_back(
      absl::StrCat(FormatCount(ledger.pinned_arenas), " of Python's ", FormatCount(ledger.arenas),
                   ledger.pinned_arenas == 1 ? " arenas is less than a quarter full and keeps "
                                             : " arenas are less than a quarter full and keep ",
                   FormatSize(ledger.pinned_free_bytes), " from the system. What is in them:"));
  for (const ArenaPin& pin : ledger.pins) {
    remarks.push_back(absl::StrCat("  ", Printable(pin.place), "  in ", FormatCount(pin.arenas),
                                   pin.arenas == 1 ? " arena, " : " arenas, ",
                                   FormatSize(pin.bytes)));
  }
  return remarks;
}

const Ledger* LedgerOf(const Profile* profile, const std::string& pick) {
  if (profile == nullptr) return nullptr;
  const Overview overview = Summarize(*profile, pick);
  const Process* main = overview.main;
  return main == nullptr || main->ledgers.empty() ? nullptr : &main->ledgers.front();
}

struct Chosen {
  const Ledger* before = nullptr;  // of a comparison
  const Ledger* after = nullptr;
  bool compared = false;
};

Chosen Choose(const RenderInput& input) {
  const std::string& pick = input.table->view.process;
  Chosen chosen;
  chosen.compared = input.table->is_comparison;
  chosen.after = LedgerOf(input.profile, pick);
  if (chosen.compared) chosen.before = LedgerOf(input.old_profile, pick);
  return chosen;
}

std::string Title(const Chosen& chosen) {
  if (!chosen.compared) {
    return absl::StrCat("resident memory ", FormatSize(chosen.after->rss_bytes), ", made of");
  }
  return absl::StrCat("resident memory ", FormatSize(chosen.before->rss_bytes), " -> ",
                      FormatSize(chosen.after->rss_bytes), " (",
                      FormatSignedSize(chosen.after->rss_bytes - chosen.before->rss_bytes),
                      "), of it");
}

bool HasLines(const Chosen& chosen) {
  if (chosen.after == nullptr || !chosen.after->is_known()) return false;
  return !chosen.compared || (chosen.before != nullptr && chosen.before->is_known());
}

std::vector<Line> LinesOf(const Chosen& chosen) {
  return chosen.compared ? Changes(*chosen.before, *chosen.after) : Lines(*chosen.after);
}

std::string NoLedger(const Chosen& chosen) {
  if (chosen.compared || chosen.after == nullptr || chosen.after->why.empty()) return "";
  return absl::StrCat("no ledger of resident memory: ", Printable(chosen.after->why), "\n");
}

}  // namespace

std::string RenderLedgerText(const RenderInput& input) {
  const Chosen chosen = Choose(input);
  if (!HasLines(chosen)) {
    const std::string none = NoLedger(chosen);
    return none.empty() ? "" : absl::StrCat("\n", none);
  }
  std::string out = absl::StrCat("\n", Styled(input.terminal, Style::kDim, Title(chosen)), "\n",
                                 Aligned(LinesOf(chosen), input.terminal));
  if (chosen.compared) return out;
  for (const std::string& remark : Remarks(*chosen.after)) {
    absl::StrAppend(&out, std::string(kIndent, ' '), remark, "\n");
  }
  return out;
}

std::string RenderLedgerMarkdown(const RenderInput& input) {
  const Chosen chosen = Choose(input);
  if (!HasLines(chosen)) {
    const std::string none = NoLedger(chosen);
    return none.empty() ? "" : absl::StrCat("\n", MarkdownText(none));
  }
  std::string out = absl::StrCat("\n", MarkdownText(Title(chosen)), ":\n\n| Size | ",
                                 chosen.compared ? "Change" : "Share",
                                 " | Part | Largest |\n|---:|---:|:---|:---|\n");
  for (const Line& line : LinesOf(chosen)) {
    absl::StrAppend(&out, "| ", line.size, " | ", line.second, " | ", line.label, " | ",
                    MarkdownText(line.items), " |\n");
  }
  if (chosen.compared) return out;
  for (const std::string& remark : Remarks(*chosen.after)) {
    absl::StrAppend(&out, "\n", MarkdownText(remark), "\n");
  }
  return out;
}

}  // namespace memtrace
