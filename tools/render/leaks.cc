// The leak view for people: text and Markdown.

#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/render/markdown.h"
#include "tools/render/render.h"
#include "tools/render/source_lines.h"
#include "tools/render/table_text.h"
#include "tools/render/units.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

std::string Growth(const LeakTable& table, const Terminal& terminal) {
  const LeakMoment& first = table.moments.front();
  const LeakMoment& last = table.moments.back();
  const int64_t change = last.bytes - first.bytes;
  const Style style = change > 0 ? Style::kRed : change < 0 ? Style::kGreen : Style::kPlain;
  return absl::StrCat("now ", FormatSize(first.bytes), " -> ", FormatSize(last.bytes), " (",
                      Styled(terminal, style, FormatSignedSize(change)), ") in ",
                      FormatDuration(last.elapsed_ns - first.elapsed_ns), ", ",
                      table.moments.size(), " snapshots: ", FormatSizeRate(table.total_bytes.slope),
                      ", ", FormatRate(table.total_blocks.slope), " blocks/s");
}

std::string Title(const LeakTable& table) {
  View view = table.view;
  return absl::StrCat("growing in every interval", ViewText(view).substr(ViewText(view).find(',')));
}

std::string Stopped(const LeakTable& table) {
  if (table.stopped == 0) return "";
  return absl::StrCat(FormatCount(static_cast<int64_t>(table.stopped)),
                      table.stopped == 1 ? " other holds" : " others hold",
                      " more than at first, but did not grow in every interval.\n");
}

std::vector<std::string> Figures(const LeakRow& row) {
  return {FormatSize(row.bytes.back()),
          FormatSignedSize(row.bytes.back() - row.bytes.front()),
          FormatSignedCount(row.blocks.back() - row.blocks.front()),
          FormatSizeRate(row.bytes_trend.slope),
          FormatSizeRate(row.lately),
          FormatRate(row.blocks_trend.slope),
          FormatConfidence(row.bytes_trend.confidence)};
}

const std::vector<std::string>& Headings() {
  static const std::vector<std::string> kHeadings = {"size",   "growth",   "blocks",    "slope",
                                                     "lately", "blocks/s", "confidence"};
  return kHeadings;
}

TextRow ToTextRow(const LeakRow& leak, GroupBy by, SourceLines* sources) {
  const Row& row = leak.row;
  TextRow out{{}, RowText(row, by), "", {}};
  for (std::string& figure : Figures(leak)) out.figures.push_back({std::move(figure)});
  out.figures[0].style = Style::kBold;
  out.figures[1].style = Style::kRed;
  if (row.frames.empty()) return out;
  out.source = sources->Text(*row.frames[0]);
  for (size_t i = 1; i < row.frames.size(); ++i) {
    out.callers.push_back({PlaceText(*row.frames[i], by), sources->Text(*row.frames[i])});
  }
  return out;
}

std::string MarkdownRow(const LeakRow& leak, GroupBy by, SourceLines* sources) {
  std::string line = "|";
  for (const std::string& figure : Figures(leak)) absl::StrAppend(&line, " ", figure, " |");
  absl::StrAppend(&line, " ", MarkdownPlace(leak.row, by), " | ",
                  leak.row.frames.empty() ? "" : MarkdownCode(sources->Text(*leak.row.frames[0])),
                  " |\n");
  return line;
}

}  // namespace

std::string RenderLeaksText(const LeakInput& input) {
  const LeakTable& table = *input.table;
  const Overview overview = Summarize(*input.profile, table.view.process);
  const Terminal& terminal = input.terminal;
  std::string out = absl::StrCat(Styled(terminal, Style::kDim, "memtrace  "), ProcessText(overview),
                                 "\n", "          ", Growth(table, terminal), "\n\n");
  SourceLines sources(*input.profile);
  TextTable text(terminal, Headings(), Title(table));
  for (size_t i = 0; i < input.ShownRows(); ++i) {
    text.Add(ToTextRow(table.rows[i], table.view.by, &sources));
  }
  if (table.rows.empty()) {
    absl::StrAppend(&out, "No leak found: nothing grows in every interval.\n");
  } else {
    absl::StrAppend(&out, text.ToString());
  }
  const size_t hidden = table.rows.size() - input.ShownRows();
  if (hidden > 0) {
    absl::StrAppend(&out, "and ", FormatCount(static_cast<int64_t>(hidden)),
                    " more; --top 0 shows all\n");
  }
  return absl::StrCat(out, Stopped(table));
}

std::string RenderLeaksMarkdown(const LeakInput& input) {
  const LeakTable& table = *input.table;
  const Overview overview = Summarize(*input.profile, table.view.process);
  std::string out = absl::StrCat("**memtrace** ", MarkdownText(ProcessText(overview)), "  \n",
                                 MarkdownText(Growth(table, Terminal{})), "\n\n");
  if (table.rows.empty()) {
    return absl::StrCat(out, "No leak found: nothing grows in every interval.\n", Stopped(table));
  }
  absl::StrAppend(
      &out, "| Size | Growth | Blocks | Slope | Lately | Blocks/s | Confidence | Where (",
      Title(table), ") | Source |\n", "|---:|---:|---:|---:|---:|---:|---:|:---|:---|\n");
  SourceLines sources(*input.profile);
  for (size_t i = 0; i < input.ShownRows(); ++i) {
    out += MarkdownRow(table.rows[i], table.view.by, &sources);
  }
  const size_t hidden = table.rows.size() - input.ShownRows();
  if (hidden > 0) absl::StrAppend(&out, "\n", hidden, " more rows are not shown.\n");
  if (table.stopped > 0) absl::StrAppend(&out, "\n", Stopped(table));
  return out;
}

absl::StatusOr<std::string> RenderLeaks(const LeakInput& input, Format format) {
  switch (format) {
    case Format::kText:
      return RenderLeaksText(input);
    case Format::kJson:
      return RenderLeaksJson(input);
    case Format::kCsv:
      return RenderLeaksCsv(input);
    case Format::kMarkdown:
      return RenderLeaksMarkdown(input);
    case Format::kTracemalloc:
      break;
  }
  return absl::InvalidArgumentError(
      "--format tracemalloc has no form for --leaks; text, json, csv and markdown have");
}

}  // namespace memtrace
