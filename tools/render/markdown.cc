#include "tools/render/markdown.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tools/render/ledger.h"
#include "tools/render/render.h"
#include "tools/render/source_lines.h"
#include "tools/render/units.h"
#include "tools/render/words.h"

namespace memtrace {

std::string MarkdownText(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"},
                                    {"|", "\\|"},
                                    {"*", "\\*"},
                                    {"_", "\\_"},
                                    {"`", "\\`"},
                                    {"[", "\\["},
                                    {"]", "\\]"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"&", "&amp;"}});
}

std::string MarkdownCode(const std::string& text) {
  if (text.empty()) return "";
  const std::string fence = text.find('`') == std::string::npos ? "`" : "`` ";
  const std::string end = fence == "`" ? "`" : " ``";
  return absl::StrCat(fence, absl::StrReplaceAll(text, {{"|", "\\|"}}), end);
}

std::string MarkdownPlace(const Row& row, GroupBy by) {
  std::string text = MarkdownText(RowText(row, by));
  for (size_t i = 1; i < row.frames.size(); ++i) {
    absl::StrAppend(&text, "<br>", MarkdownText(PlaceText(*row.frames[i], by)));
  }
  return text;
}

namespace {

std::string Heading(const RenderInput& input) {
  const std::string& pick = input.table->view.process;
  const Overview after = Summarize(*input.profile, pick);
  if (!input.table->is_comparison) {
    return absl::StrCat("**memtrace** ", MarkdownText(ProcessText(after)), "  \npeak **",
                        PeakText(after), "**, now **", FormatSize(after.now_bytes), "**, ",
                        FormatCount(after.alloc_blocks), " allocations, ",
                        MarkdownText(LostText(after)), MappedText(after).empty() ? "" : "  \n",
                        MappedText(after), "\n\n");
  }
  const Overview before = Summarize(*input.old_profile, pick);
  return absl::StrCat("**memtrace** old: ", MarkdownText(ProcessText(before)), ", ",
                      MarkdownText(LostText(before)), "  \nnew: ", MarkdownText(ProcessText(after)),
                      ", ", MarkdownText(LostText(after)), "  \nnow ", FormatSize(before.now_bytes),
                      " → **", FormatSize(after.now_bytes), "** (",
                      FormatSignedSize(after.now_bytes - before.now_bytes), "), peak ",
                      FormatSize(before.peak_bytes), " → **", FormatSize(after.peak_bytes), "** (",
                      FormatSignedSize(after.peak_bytes - before.peak_bytes), ")\n\n");
}

std::string RowLine(const Row& row, const Table& table, SourceLines* sources) {
  const Metric metric = table.view.metric;
  const int64_t size = SizeOf(row.values, metric);
  const int64_t count = CountOf(row.values, metric);
  std::string line = absl::StrCat("| ", FormatSize(size), " |");
  if (table.is_comparison) {
    absl::StrAppend(&line, " ", FormatSignedSize(size - SizeOf(row.old_values, metric)), " |");
  }
  absl::StrAppend(&line, " ", FormatCount(count), " |");
  if (table.is_comparison) {
    absl::StrAppend(&line, " ", FormatSignedCount(count - CountOf(row.old_values, metric)), " |");
  }
  absl::StrAppend(&line, " ", FormatAverage(size, count), " | ",
                  FormatShare(size, WholeOf(row, table)), " | ");
  if (ShowsChurn(metric)) {
    absl::StrAppend(&line, FormatSize(row.values.inuse_bytes), " | ",
                    FormatShare(row.values.temporary_objects, row.values.alloc_objects), " | ");
  }
  absl::StrAppend(&line, MarkdownPlace(row, table.view.by), " | ",
                  row.frames.empty() ? "" : MarkdownCode(sources->Text(*row.frames[0])), " |\n");
  return line;
}

std::string TableHeading(const Table& table) {
  const bool churn = ShowsChurn(table.view.metric);
  return absl::StrCat(table.is_comparison ? "| Size | Change | Count | Change | Average | Share |"
                                          : "| Size | Count | Average | Share |",
                      churn ? " Live | Temporary |" : "", " Where (", ViewText(table.view),
                      ") | Source |\n|", table.is_comparison ? "---:|---:|" : "",
                      "---:|---:|---:|---:|", churn ? "---:|---:|" : "", ":---|:---|\n");
}

}  // namespace

std::string RenderMarkdown(const RenderInput& input, size_t max_bytes) {
  const Table& table = *input.table;
  std::string out = Heading(input);
  if (table.rows.empty()) return absl::StrCat(out, "No difference, or nothing to show.\n");
  absl::StrAppend(&out, TableHeading(table));
  SourceLines sources(*input.profile);
  size_t shown = 0;
  for (; shown < input.ShownRows(); ++shown) {
    const std::string line = RowLine(table.rows[shown], table, &sources);
    if (max_bytes > 0 && out.size() + line.size() > max_bytes) break;
    out += line;
  }
  if (shown < table.rows.size()) {
    absl::StrAppend(&out, "\n", FormatCount(static_cast<int64_t>(table.rows.size() - shown)),
                    " more rows are not shown.\n");
  }
  const std::string ledger = RenderLedgerMarkdown(input);
  if (max_bytes == 0 || out.size() + ledger.size() <= max_bytes) out += ledger;
  return out;
}

}  // namespace memtrace
