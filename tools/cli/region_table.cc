#include "tools/cli/region_table.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tools/render/terminal.h"
#include "tools/render/units.h"

namespace memtrace {
namespace {

constexpr int kGap = 2;
constexpr size_t kFigures = 5;  // columns before the command

using Row = std::array<std::string, kFigures + 1>;

int64_t AgeNanos(const RegionEntry& entry) {
  return std::max<int64_t>(0, absl::ToUnixNanos(absl::Now()) - entry.start_realtime_ns);
}

Row RowOf(const RegionEntry& entry) {
  if (!entry.status.ok()) {
    return {"?", "unreadable", "", "", "", Printable(entry.status.message())};
  }
  return {absl::StrCat(entry.pid),         std::string(StateText(entry.state)),
          FormatSize(entry.now_bytes),     FormatSize(entry.peak_bytes),
          FormatDuration(AgeNanos(entry)), Printable(CommandText(entry.command))};
}

}  // namespace

std::string RegionTable(const std::vector<RegionEntry>& entries, int columns) {
  std::vector<Row> rows = {{"PID", "STATE", "NOW", "PEAK", "AGE", "COMMAND"}};
  for (const RegionEntry& entry : entries) rows.push_back(RowOf(entry));
  std::array<int, kFigures> widths = {};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kFigures; ++i) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < kFigures; ++i) {
      const std::string space(static_cast<size_t>(widths[i] - DisplayWidth(row[i])), ' ');
      const bool left = i == 1;  // the state is a word, the others are figures
      absl::StrAppend(&line, left ? row[i] : space, left ? space : row[i], std::string(kGap, ' '));
    }
    const int room = columns > 0 ? std::max(columns - DisplayWidth(line), 8) : 0;
    absl::StrAppend(&out, line, CutToWidth(row[kFigures], room), "\n");
  }
  return out;
}

std::string RegionJson(const std::vector<RegionEntry>& entries) {
  nlohmann::ordered_json root;
  root["schema_version"] = 1;
  root["processes"] = nlohmann::ordered_json::array();
  for (const RegionEntry& entry : entries) {
    nlohmann::ordered_json item;
    item["region"] = Printable(entry.path);
    if (!entry.status.ok()) {
      item["error"] = Printable(entry.status.message());
    } else {
      item["pid"] = entry.pid;
      item["parent_pid"] = entry.parent_pid;
      item["state"] = std::string(StateText(entry.state));
      item["command"] = entry.command;
      item["now_bytes"] = entry.now_bytes;
      item["peak_bytes"] = entry.peak_bytes;
      item["age_seconds"] = AgeNanos(entry) / 1000000000;
    }
    item["region_bytes"] = entry.file_bytes;
    root["processes"].push_back(std::move(item));
  }
  return root.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace memtrace
