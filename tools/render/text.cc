#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/render/ledger.h"
#include "tools/render/render.h"
#include "tools/render/source_lines.h"
#include "tools/render/table_text.h"
#include "tools/render/units.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

Style ChangeStyle(int64_t change) {
  return change > 0 ? Style::kRed : change < 0 ? Style::kGreen : Style::kPlain;
}

std::string NotesText(const Overview& overview, const Terminal& terminal) {
  std::string text;
  for (const std::string& note : Notes(overview)) {
    absl::StrAppend(&text, "          ", Styled(terminal, Style::kYellow, note), "\n");
  }
  return text;
}

std::string MappedLine(const Overview& overview) {
  const std::string text = MappedText(overview);
  return text.empty() ? "" : absl::StrCat("          ", text, "\n");
}

std::string LostStyled(const Overview& overview, const Terminal& terminal) {
  return Styled(terminal, overview.lost > 0 ? Style::kYellow : Style::kPlain, LostText(overview));
}

std::string Change(const char* what, int64_t before, int64_t after, const Terminal& terminal) {
  const int64_t change = after - before;
  return absl::StrCat(what, " ", FormatSize(before), " -> ", FormatSize(after), " (",
                      Styled(terminal, ChangeStyle(change), FormatSignedSize(change)), ")");
}

// Nothing where nothing has been mapped.
std::string MappedChange(const Overview& before, const Overview& after, const Terminal& terminal) {
  const auto change = [&](const char* what, const Values& from, const Values& to) {
    if (from.inuse_bytes == 0 && to.inuse_bytes == 0) return std::string();
    return absl::StrCat("          ", Change(what, from.inuse_bytes, to.inuse_bytes, terminal),
                        "\n");
  };
  return absl::StrCat(change("mapped, anonymous", before.mapped, after.mapped),
                      change("mapped, of files", before.mapped_files, after.mapped_files));
}

std::string ComparisonHeader(const RenderInput& input) {
  const std::string& pick = input.table->view.process;
  const Overview before = Summarize(*input.old_profile, pick);
  const Overview after = Summarize(*input.profile, pick);
  const Terminal& t = input.terminal;
  return absl::StrCat(Styled(t, Style::kDim, "old       "), ProcessText(before), "   ",
                      LostStyled(before, t), "\n", Styled(t, Style::kDim, "new       "),
                      ProcessText(after), "   ", LostStyled(after, t), "\n", "          ",
                      Change("now", before.now_bytes, after.now_bytes, t), "   ",
                      Change("peak", before.peak_bytes, after.peak_bytes, t), "\n",
                      MappedChange(before, after, t), NotesText(after, t));
}

std::vector<std::string> Headings(const Table& table) {
  std::vector<std::string> headings = {"size", "count", "average", "share"};
  if (table.is_comparison) headings = {"size", "change", "count", "change", "average", "share"};
  if (ShowsChurn(table.view.metric)) {
    headings.emplace_back("live");
    headings.emplace_back("temporary");
  }
  return headings;
}

std::vector<TextCell> Figures(const Row& row, const Table& table) {
  const Metric metric = table.view.metric;
  const int64_t size = SizeOf(row.values, metric);
  const int64_t count = CountOf(row.values, metric);
  std::vector<TextCell> cells = {{FormatSize(size), Style::kBold}};
  if (table.is_comparison) {
    const int64_t change = size - SizeOf(row.old_values, metric);
    cells.push_back({FormatSignedSize(change), ChangeStyle(change)});
  }
  cells.push_back({FormatCount(count)});
  if (table.is_comparison) {
    cells.push_back({FormatSignedCount(count - CountOf(row.old_values, metric))});
  }
  cells.push_back({FormatAverage(size, count)});
  cells.push_back({FormatShare(size, WholeOf(row, table))});
  if (ShowsChurn(metric)) {
    cells.push_back({FormatSize(row.values.inuse_bytes)});
    cells.push_back({FormatShare(row.values.temporary_objects, row.values.alloc_objects)});
  }
  return cells;
}

TextRow ToTextRow(const Row& row, const Table& table, SourceLines* sources) {
  const GroupBy by = table.view.by;
  TextRow out{Figures(row, table), RowText(row, by), "", {}};
  if (row.frames.empty()) return out;
  out.source = sources->Text(*row.frames[0]);
  for (size_t i = 1; i < row.frames.size(); ++i) {
    out.callers.push_back({PlaceText(*row.frames[i], by), sources->Text(*row.frames[i])});
  }
  return out;
}

// What the table leaves out, so that nobody takes the part for the whole.
std::string Remainder(const RenderInput& input) {
  const Table& table = *input.table;
  const size_t shown = input.ShownRows();
  const size_t hidden = table.rows.size() - shown;
  if (table.rows.empty()) {
    if (table.is_comparison) return "No difference.\n";
    return table.view.metric == Metric::kTemporary && !table.selected.IsZero()
               ? "Nothing to show: no block was freed before its thread's next allocation.\n"
               : "Nothing to show: no sample passed the filters.\n";
  }
  if (hidden == 0) return "";
  Values rest;
  Values old_rest;
  for (size_t i = shown; i < table.rows.size(); ++i) {
    rest += table.rows[i].values;
    old_rest += table.rows[i].old_values;
  }
  const int64_t size = SizeOf(rest, table.view.metric);
  std::string text = absl::StrCat("and ", FormatCount(static_cast<int64_t>(hidden)), " more");
  if (!table.view.cumulative) absl::StrAppend(&text, ": ", FormatSize(size));
  if (table.is_comparison && !table.view.cumulative) {
    absl::StrAppend(&text, " (", FormatSignedSize(size - SizeOf(old_rest, table.view.metric)), ")");
  }
  return absl::StrCat(
      Styled(input.terminal, Style::kDim, absl::StrCat(text, "; --top 0 shows all")), "\n");
}

}  // namespace

std::string RenderHeader(const Profile& profile, const std::string& pick,
                         const Terminal& terminal) {
  const Overview overview = Summarize(profile, pick);
  return absl::StrCat(Styled(terminal, Style::kDim, "memtrace  "), ProcessText(overview), "\n",
                      "          peak ", Styled(terminal, Style::kBold, PeakText(overview)),
                      "   now ", Styled(terminal, Style::kBold, FormatSize(overview.now_bytes)),
                      "   ", FormatCount(overview.alloc_blocks), " allocations   ",
                      LostStyled(overview, terminal), "\n", MappedLine(overview),
                      NotesText(overview, terminal));
}

std::string RenderText(const RenderInput& input) {
  const Table& table = *input.table;
  std::string out = table.is_comparison
                        ? ComparisonHeader(input)
                        : RenderHeader(*input.profile, table.view.process, input.terminal);
  SourceLines sources(*input.profile);
  TextTable text(input.terminal, Headings(table), ViewText(table.view));
  for (size_t i = 0; i < input.ShownRows(); ++i) {
    text.Add(ToTextRow(table.rows[i], table, &sources));
  }
  absl::StrAppend(&out, "\n");
  if (!table.rows.empty()) absl::StrAppend(&out, text.ToString());
  return absl::StrCat(out, Remainder(input), RenderLedgerText(input));
}

std::string Render(const RenderInput& input, Format format) {
  switch (format) {
    case Format::kText:
      return RenderText(input);
    case Format::kJson:
      return RenderJson(input);
    case Format::kCsv:
      return RenderCsv(input);
    case Format::kMarkdown:
      return RenderMarkdown(input);
    case Format::kTracemalloc:
      return RenderTracemalloc(input);
  }
  return "";
}

}  // namespace memtrace
