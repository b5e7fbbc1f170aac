// The JSON form. Its fields are documented in tools/README.md: a change that is not an addition
// raises kJsonSchemaVersion.

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "tools/render/ledger_json.h"
#include "tools/render/render.h"
#include "tools/render/source_lines.h"
#include "tools/render/words.h"

namespace memtrace {
namespace {

using Json = nlohmann::ordered_json;

const char* NameOf(EndKind end) {
  switch (end) {
    case EndKind::kRunning:
      return "running";
    case EndKind::kExited:
      return "exited";
    case EndKind::kSignaled:
      return "signaled";
    case EndKind::kDied:
      return "died";
    case EndKind::kReplacedByExec:
      return "replaced_by_exec";
    case EndKind::kUnknown:
      break;
  }
  return "unknown";
}

Json TextOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json ProcessJson(const Process& process) {
  Json json;
  json["pid"] = process.pid;
  json["parent_pid"] = process.parent_pid;
  json["command"] = process.command;
  json["executable"] = process.executable;
  json["working_dir"] = process.working_dir;
  json["python"] = TextOrNull(process.python);
  json["start_unix_ns"] = process.start_realtime_ns;
  json["duration_ns"] = process.duration_ns;
  json["end"] = NameOf(process.end);
  const bool has_status = process.end == EndKind::kExited || process.end == EndKind::kSignaled;
  json["end_status"] = has_status ? Json(process.end_status) : Json();
  json["peak_bytes"] = process.peak_bytes;
  json["peak_bound_bytes"] = process.peak_bound;
  if (process.is_group()) json["processes"] = process.group_size;
  if (process.is_member()) json["in_group"] = true;
  json["unwind_method"] = TextOrNull(process.unwind_method);
  if (!process.unwind_method.empty()) {
    json["stacks_checked"] = process.stacks_checked;
    json["stacks_different"] = process.stacks_different;
    json["stacks_cut"] = process.stacks_cut;
  }
  json["peak_elapsed_ns"] = process.peak_elapsed_ns < 0 ? Json() : Json(process.peak_elapsed_ns);
  json["ledger"] = process.ledgers.empty() ? Json() : LedgerJson(process.ledgers[0]);
  if (process.ledgers.size() > 1) json["highest_ledger"] = LedgerJson(process.ledgers[1]);
  return json;
}

Json TotalsJson(const Overview& overview) {
  Json json;
  json["now_bytes"] = overview.now_bytes;
  json["now_blocks"] = overview.now_blocks;
  json["peak_bytes"] = overview.peak_bytes;
  json["peak_bound_bytes"] = overview.peak_bound;
  json["alloc_bytes"] = overview.alloc_bytes;
  json["alloc_blocks"] = overview.alloc_blocks;
  json["temporary_bytes"] = overview.temporary_bytes;
  json["temporary_blocks"] = overview.temporary_blocks;
  json["mapped_bytes"] = overview.mapped.inuse_bytes;
  json["mapped_count"] = overview.mapped.inuse_objects;
  json["mapped_file_bytes"] = overview.mapped_files.inuse_bytes;
  json["mapped_file_count"] = overview.mapped_files.inuse_objects;
  json["lost"] = overview.lost;
  return json;
}

void AddProfile(const Profile& profile, const std::string& pick, Json* json) {
  const Overview overview = Summarize(profile, pick);
  (*json)["taken_unix_ns"] = profile.taken_realtime_ns;
  (*json)["process"] = overview.main == nullptr ? Json() : ProcessJson(*overview.main);
  (*json)["processes"] = Json::array();
  for (const Process* process : overview.processes) {
    (*json)["processes"].push_back(ProcessJson(*process));
  }
  (*json)["totals"] = TotalsJson(overview);
  (*json)["losses"] = Json::array();
  for (const LossCount& loss : overview.losses) {
    (*json)["losses"].push_back(
        {{"reason", loss.reason}, {"events", loss.events}, {"bytes", loss.bytes}});
  }
}

Json ViewJson(const View& view) {
  return {{"by", NameOf(view.by)},
          {"at", NameOf(view.metric)},
          {"own", view.own},
          {"cumulative", view.cumulative}};
}

void AddPlace(const Place& place, SourceLines* sources, Json* json) {
  (*json)["file"] = TextOrNull(place.file.shown);
  (*json)["path"] = TextOrNull(place.file.absolute);
  (*json)["line"] = place.line == 0 ? Json() : Json(place.line);
  (*json)["function"] = TextOrNull(place.function);
  if (place.address != 0) (*json)["address"] = place.address;
  const std::string source = sources->Text(place);
  if (!source.empty()) (*json)["source"] = source;
}

// Six digits: enough for a share, and the same on every machine.
Json Share(int64_t part, int64_t whole) {
  if (whole <= 0) return Json();
  return std::round(1e6 * static_cast<double>(part) / static_cast<double>(whole)) / 1e6;
}

Json FramesJson(const Row& row, SourceLines* sources) {
  Json frames = Json::array();
  for (const PlaceRef& place : row.frames) {
    Json frame;
    AddPlace(*place, sources, &frame);
    frames.push_back(std::move(frame));
  }
  return frames;
}

// What became of a row's blocks.
void AddChurn(const Values& values, Json* json) {
  (*json)["alloc_size"] = values.alloc_bytes;
  (*json)["alloc_count"] = values.alloc_objects;
  (*json)["live_size"] = values.inuse_bytes;
  (*json)["live_count"] = values.inuse_objects;
  (*json)["temporary_size"] = values.temporary_bytes;
  (*json)["temporary_count"] = values.temporary_objects;
}

Json RowJson(const Row& row, const Table& table, SourceLines* sources) {
  const Metric metric = table.view.metric;
  const int64_t size = SizeOf(row.values, metric);
  const int64_t count = CountOf(row.values, metric);
  Json json;
  AddPlace(row.frames.empty() ? Place{} : *row.frames[0], sources, &json);
  if (row.frames.empty()) json["label"] = row.label;
  json["domain"] = TextOrNull(DomainsText(row.domains));
  json["size"] = size;
  json["count"] = count;
  json["average"] = count == 0 ? Json() : Json(size / count);
  if (IsBeside(row, table)) json["address_space"] = true;
  json["share"] = Share(size, WholeOf(row, table));
  if (table.is_comparison) {
    json["size_diff"] = size - SizeOf(row.old_values, metric);
    json["count_diff"] = count - CountOf(row.old_values, metric);
  }
  if (ShowsChurn(metric)) AddChurn(row.values, &json);
  if (table.view.by == GroupBy::kTraceback) json["frames"] = FramesJson(row, sources);
  return json;
}

Json TrendJson(const Trend& trend) {
  return {{"per_second", trend.slope},
          {"error", trend.error},
          {"r_squared", trend.r_squared},
          {"confidence", trend.confidence}};
}

Json LeakJson(const LeakRow& leak, GroupBy by, SourceLines* sources) {
  const Row& row = leak.row;
  Json json;
  AddPlace(row.frames.empty() ? Place{} : *row.frames[0], sources, &json);
  if (row.frames.empty()) json["label"] = row.label;
  json["domain"] = TextOrNull(DomainsText(row.domains));
  json["size"] = leak.bytes.back();
  json["count"] = leak.blocks.back();
  json["size_diff"] = leak.bytes.back() - leak.bytes.front();
  json["count_diff"] = leak.blocks.back() - leak.blocks.front();
  json["sizes"] = leak.bytes;
  json["counts"] = leak.blocks;
  json["size_trend"] = TrendJson(leak.bytes_trend);
  json["count_trend"] = TrendJson(leak.blocks_trend);
  json["last_size_per_second"] = leak.lately;
  if (by == GroupBy::kTraceback) json["frames"] = FramesJson(row, sources);
  return json;
}

Json MomentJson(const LeakMoment& moment) {
  return {{"snapshot", moment.name},
          {"taken_unix_ns", moment.taken_realtime_ns},
          {"elapsed_ns", moment.elapsed_ns},
          {"now_bytes", moment.bytes},
          {"now_blocks", moment.blocks}};
}

// File names need not be UTF-8; JSON must be.
std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

// The document, whose "rows" are empty, with `count` rows. Their text is made one by one: all
// stacks of a large program are gigabytes as objects.
template <typename RowOf>
std::string DumpWithRows(const Json& document, size_t count, const RowOf& row_of) {
  const std::string text = Dump(document) + "\n";
  if (count == 0) return text;
  const std::string kNoRows = "\n  \"rows\": []";  // there is no line break in a string
  const size_t at = text.find(kNoRows) + kNoRows.size() - 1;
  std::string out = text.substr(0, at);
  for (size_t i = 0; i < count; ++i) {
    absl::StrAppend(&out, i == 0 ? "\n    " : ",\n    ",
                    absl::StrReplaceAll(Dump(row_of(i)), {{"\n", "\n    "}}));
  }
  absl::StrAppend(&out, "\n  ", absl::string_view(text).substr(at));
  return out;
}

}  // namespace

std::string RenderLeaksJson(const LeakInput& input) {
  const LeakTable& table = *input.table;
  Json json;
  json["schema_version"] = kJsonSchemaVersion;
  json["kind"] = "leaks";
  json["view"] = ViewJson(table.view);
  AddProfile(*input.profile, table.view.process, &json);
  json["snapshots"] = Json::array();
  for (const LeakMoment& moment : table.moments) json["snapshots"].push_back(MomentJson(moment));
  json["size_trend"] = TrendJson(table.total_bytes);
  json["count_trend"] = TrendJson(table.total_blocks);
  json["rows"] = Json::array();
  json["more_rows"] = table.rows.size() - input.ShownRows();
  json["stopped_rows"] = table.stopped;
  SourceLines sources(*input.profile);
  return DumpWithRows(json, input.ShownRows(),
                      [&](size_t i) { return LeakJson(table.rows[i], table.view.by, &sources); });
}

std::string RenderJson(const RenderInput& input) {
  const Table& table = *input.table;
  Json json;
  json["schema_version"] = kJsonSchemaVersion;
  json["kind"] = table.is_comparison ? "comparison" : "report";
  json["view"] = ViewJson(table.view);
  AddProfile(*input.profile, table.view.process, &json);
  if (table.is_comparison) {
    Json old;
    AddProfile(*input.old_profile, table.view.process, &old);
    json["old"] = std::move(old);
  }
  json["rows"] = Json::array();
  json["more_rows"] = table.rows.size() - input.ShownRows();
  SourceLines sources(*input.profile);
  return DumpWithRows(json, input.ShownRows(),
                      [&](size_t i) { return RowJson(table.rows[i], table, &sources); });
}

}  // namespace memtrace
