// Resident memory and what it is made of, below the table of a report or comparison.

#ifndef MEMTRACE_TOOLS_RENDER_LEDGER_H_
#define MEMTRACE_TOOLS_RENDER_LEDGER_H_

#include <string>

#include "tools/render/render.h"

namespace memtrace {

// "" when there is none. Of several processes the main one's; of a comparison the differences, when
// both have one.
std::string RenderLedgerText(const RenderInput& input);
std::string RenderLedgerMarkdown(const RenderInput& input);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_LEDGER_H_
