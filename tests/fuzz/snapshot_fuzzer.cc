// libFuzzer target: any bytes as a snapshot's content give an error, or a profile that is well
// formed and can be written, reported, compared and searched for leaks. The bytes are the
// uncompressed stream: gzip's checksum would stop nearly all changes (gzip_fuzzer is for that).

#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/unit/tools/model/gzip_bytes.h"
#include "tests/unit/tools/read/well_formed.h"
#include "tools/model/aggregate.h"
#include "tools/model/leaks.h"
#include "tools/model/snapshot_file.h"
#include "tools/render/render.h"

namespace memtrace {
namespace {

constexpr Format kFormats[] = {Format::kText, Format::kJson, Format::kCsv, Format::kMarkdown,
                               Format::kTracemalloc};

void Report(const Profile& profile, const Profile* old, const View& view) {
  const absl::StatusOr<Table> table =
      old == nullptr ? Aggregate(profile, view) : Compare(*old, profile, view);
  if (!table.ok()) __builtin_trap();
  for (Format format : kFormats) Render({&profile, old, &*table, 10, {}}, format);
}

void ReportAllWays(const Profile& profile) {
  for (GroupBy by : {GroupBy::kLine, GroupBy::kTraceback, GroupBy::kThread, GroupBy::kProcess}) {
    View view;
    view.by = by;
    view.own = by == GroupBy::kTraceback;
    Report(profile, nullptr, view);
    Report(profile, &profile, view);
  }
  View cumulative;
  cumulative.by = GroupBy::kFunction;
  cumulative.metric = Metric::kTemporary;
  cumulative.cumulative = true;
  Report(profile, nullptr, cumulative);
}

// Three moments of one process; a profile without a usable one is refused, which is fine.
void FindLeaks(const Profile& profile) {
  LeakFinder finder{View()};
  for (int64_t moment = 1; moment <= 3; ++moment) {
    Profile then = profile;
    for (Process& process : then.processes) process.duration_ns = moment * 1000000000;
    if (!finder.Add(std::move(then), "fuzz").ok()) return;
  }
  const absl::StatusOr<LeakTable> table = finder.Finish();
  if (!table.ok()) return;
  for (Format format : kFormats) (void)RenderLeaks({&finder.latest(), &*table, 10, {}}, format);
}

}  // namespace
}  // namespace memtrace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // else each text that is not UTF-8 is a line of output
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string file =
      memtrace::Gzip(std::string(reinterpret_cast<const char*>(bytes), size), 1);
  memtrace::ReadOptions header_only;
  header_only.header_only = true;
  const bool header = memtrace::ReadSnapshotBytes(file, header_only).ok();
  const absl::StatusOr<memtrace::Profile> profile = memtrace::ReadSnapshotBytes(file);
  if (!profile.ok()) return 0;
  if (!header) __builtin_trap();
  if (!memtrace::testing::WhatIsMisplaced(*profile).empty()) __builtin_trap();
  const absl::StatusOr<std::string> written = memtrace::SnapshotBytes(*profile);
  if (!written.ok()) __builtin_trap();
  memtrace::ReportAllWays(*profile);
  memtrace::FindLeaks(*profile);
  return 0;
}
