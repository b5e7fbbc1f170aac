#include "tools/render/ledger_json.h"

#include <string>

namespace memtrace {
namespace {

using Json = nlohmann::ordered_json;

Json PartJson(const LedgerPart& part) {
  Json items = Json::array();
  for (const LedgerItem& item : part.items) {
    items.push_back({{"name", item.name}, {"size", item.bytes}});
  }
  return {{"kind", std::string(LedgerKindName(part.kind))}, {"size", part.bytes}, {"items", items}};
}

Json ArenasJson(const Ledger& ledger) {
  Json pins = Json::array();
  for (const ArenaPin& pin : ledger.pins) {
    pins.push_back({{"place", pin.place}, {"arenas", pin.arenas}, {"size", pin.bytes}});
  }
  return {{"count", ledger.arenas},
          {"pinned", ledger.pinned_arenas},
          {"pinned_free_size", ledger.pinned_free_bytes},
          {"pinned_by", pins}};
}

}  // namespace

Json LedgerJson(const Ledger& ledger) {
  Json json;
  json["why"] = ledger.why.empty() ? Json() : Json(ledger.why);
  if (!ledger.is_known()) return json;
  json["taken_unix_ns"] = ledger.taken_realtime_ns;
  json["rss_bytes"] = ledger.rss_bytes;
  json["live_bytes"] = ledger.live_bytes;
  json["parts"] = Json::array();
  for (const LedgerPart& part : ledger.parts) json["parts"].push_back(PartJson(part));
  json["python_arenas"] = ledger.arenas == 0 ? Json() : ArenasJson(ledger);
  return json;
}

}  // namespace memtrace
