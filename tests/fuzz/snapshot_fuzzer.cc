// libFuzzer target: any bytes as a snapshot's content give an error or a profile that can be
// written and reported. The bytes are the uncompressed stream: gzip's checksum would stop nearly
// all changes.
//
//   cmake --preset release -B build/fuzz -DMEMTRACE_FUZZ=ON -DMEMTRACE_SANITIZE=address,undefined \
//     -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS=-fsanitize=fuzzer-no-link
//   build/fuzz/snapshot_fuzzer -max_len=20000 -max_total_time=60 CORPUS
// A first corpus: gunzip < tests/unit/tools/model/testdata/v1.mtr > CORPUS/v1

#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/common.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "tools/model/aggregate.h"
#include "tools/model/snapshot_file.h"
#include "tools/render/render.h"

namespace {

std::string Gzip(const uint8_t* bytes, size_t size) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::GzipOutputStream gzip(&stream);
  void* chunk;
  int room;
  while (size > 0 && gzip.Next(&chunk, &room)) {
    const size_t take = std::min(size, static_cast<size_t>(room));
    std::memcpy(chunk, bytes, take);
    gzip.BackUp(room - static_cast<int>(take));
    bytes += take;
    size -= take;
  }
  gzip.Close();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const absl::StatusOr<memtrace::Profile> profile = memtrace::ReadSnapshotBytes(Gzip(bytes, size));
  if (!profile.ok()) return 0;
  if (!memtrace::SnapshotBytes(*profile).ok()) __builtin_trap();
  for (auto by :
       {memtrace::GroupBy::kLine, memtrace::GroupBy::kTraceback, memtrace::GroupBy::kThread}) {
    memtrace::View view;
    view.by = by;
    view.own = by == memtrace::GroupBy::kTraceback;
    const absl::StatusOr<memtrace::Table> table = memtrace::Aggregate(*profile, view);
    if (!table.ok()) __builtin_trap();
    for (auto format : {memtrace::Format::kText, memtrace::Format::kJson, memtrace::Format::kCsv,
                        memtrace::Format::kMarkdown, memtrace::Format::kTracemalloc}) {
      memtrace::RenderInput input{&*profile, nullptr, &*table, 10, {}};
      memtrace::Render(input, format);
    }
  }
  return 0;
}
