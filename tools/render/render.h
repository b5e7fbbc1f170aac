// Tables -> words: the five output formats of report and comparison.
//
//   text         for people: header, aligned columns, source lines
//   json         for programs: stable, documented in tools/README.md
//   csv          for spreadsheets
//   markdown     for CI summaries and merge requests
//   tracemalloc  the lines that Python's tracemalloc prints
//
// Each lives in a file of its own. They know the profile model and the table, nothing of files of
// regions or snapshots. Names come from traced programs: control characters never reach the output.

#ifndef MEMTRACE_TOOLS_RENDER_RENDER_H_
#define MEMTRACE_TOOLS_RENDER_RENDER_H_

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "tools/model/aggregate.h"
#include "tools/model/leaks.h"
#include "tools/model/profile.h"
#include "tools/render/terminal.h"

namespace memtrace {

enum class Format { kText, kJson, kCsv, kMarkdown, kTracemalloc };

inline constexpr int kJsonSchemaVersion = 1;

struct RenderInput {
  const Profile* profile = nullptr;      // of a comparison: the new one
  const Profile* old_profile = nullptr;  // null: a report
  const Table* table = nullptr;
  size_t top = 10;  // 0: all
  Terminal terminal;

  size_t ShownRows() const {
    return top == 0 ? table->rows.size() : std::min(top, table->rows.size());
  }
};

std::string Render(const RenderInput& input, Format format);

std::string RenderText(const RenderInput& input);
std::string RenderJson(const RenderInput& input);
std::string RenderCsv(const RenderInput& input);
// At most max_bytes (0: no limit): rows that do not fit are counted, not shown.
std::string RenderMarkdown(const RenderInput& input, size_t max_bytes = 0);
std::string RenderTracemalloc(const RenderInput& input);

// The leak view (tools/model/leaks.h). tracemalloc has no form for it: InvalidArgument.
struct LeakInput {
  const Profile* profile = nullptr;  // the latest snapshot
  const LeakTable* table = nullptr;
  size_t top = 10;  // 0: all
  Terminal terminal;

  size_t ShownRows() const {
    return top == 0 ? table->rows.size() : std::min(top, table->rows.size());
  }
};

absl::StatusOr<std::string> RenderLeaks(const LeakInput& input, Format format);

std::string RenderLeaksText(const LeakInput& input);
std::string RenderLeaksJson(const LeakInput& input);
std::string RenderLeaksCsv(const LeakInput& input);
std::string RenderLeaksMarkdown(const LeakInput& input);

// The lines above a table, as the end-of-run summary shows them too.
std::string RenderHeader(const Profile& profile, const std::string& pick, const Terminal& terminal);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_RENDER_H_
