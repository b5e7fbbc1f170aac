// A ledger as JSON; its keys are documented in tools/README.md.

#ifndef MEMTRACE_TOOLS_RENDER_LEDGER_JSON_H_
#define MEMTRACE_TOOLS_RENDER_LEDGER_JSON_H_

#include <nlohmann/json.hpp>

#include "tools/model/ledger.h"

namespace memtrace {

nlohmann::ordered_json LedgerJson(const Ledger& ledger);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_LEDGER_JSON_H_
