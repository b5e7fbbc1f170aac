// Pieces of Markdown that more than one table needs.

#ifndef MEMTRACE_TOOLS_RENDER_MARKDOWN_H_
#define MEMTRACE_TOOLS_RENDER_MARKDOWN_H_

#include <string>

#include "tools/model/aggregate.h"

namespace memtrace {

// Text that Markdown shall not take for mark-up, nor a browser for HTML.
std::string MarkdownText(const std::string& text);

// A code span in a table cell: a backtick inside needs a longer fence, a bar must be escaped.
std::string MarkdownCode(const std::string& text);

// A row's place; of a traceback its callers, too.
std::string MarkdownPlace(const Row& row, GroupBy by);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_MARKDOWN_H_
