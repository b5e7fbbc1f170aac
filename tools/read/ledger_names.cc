// The lines in a ledger, by name.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/read/ledger.h"
#include "tools/read/place_names.h"

namespace memtrace {
namespace {

constexpr size_t kMostPins = 5;

// Bytes by place, as items.
std::vector<LedgerItem> Named(const std::map<uint32_t, int64_t>& by_site, PlaceNames* names) {
  std::map<std::string, int64_t> by_place;
  for (const auto& [site, bytes] : by_site) by_place[names->OfSite(site)] += bytes;
  std::vector<LedgerItem> items;
  for (const auto& [place, bytes] : by_place) items.push_back({place, bytes});
  return LargestItems(std::move(items));
}

std::vector<ArenaPin> NamedPins(const RawLedger& raw, PlaceNames* names) {
  std::map<std::string, ArenaPin> by_place;
  for (const auto& arena : raw.pinned) {
    std::map<std::string, int64_t> here;
    for (const auto& [site, bytes] : arena) here[names->OfSite(site)] += bytes;
    for (const auto& [place, bytes] : here) {
      ArenaPin& pin = by_place[place];
      ++pin.arenas;
      pin.bytes += bytes;
    }
  }
  std::vector<ArenaPin> pins;
  for (auto& [place, pin] : by_place) pins.push_back({place, pin.arenas, pin.bytes});
  std::sort(pins.begin(), pins.end(), [](const ArenaPin& a, const ArenaPin& b) {
    return std::pair(a.arenas, a.bytes) > std::pair(b.arenas, b.bytes);
  });
  if (pins.size() > kMostPins) pins.resize(kMostPins);
  return pins;
}

}  // namespace

std::vector<LedgerItem> LargestItems(std::vector<LedgerItem> items) {
  constexpr size_t kMost = 5;
  std::sort(items.begin(), items.end(),
            [](const LedgerItem& a, const LedgerItem& b) { return a.bytes > b.bytes; });
  if (items.size() > kMost) items.resize(kMost);
  return items;
}

Ledger NamedLedger(const RegionFile& region, RawLedger raw, Symbolizer* symbolizer) {
  PlaceNames names(region, symbolizer);
  for (LedgerPart& part : raw.ledger.parts) {
    if (part.kind == LedgerKind::kAnonymous) part.items = Named(raw.anonymous, &names);
  }
  raw.ledger.pins = NamedPins(raw, &names);
  return std::move(raw.ledger);
}

}  // namespace memtrace
