// libFuzzer target: any bytes as a region give an error or a profile, within bounds.
//
//   cmake --preset release -B build/fuzz -DMEMTRACE_FUZZ=ON -DMEMTRACE_SANITIZE=address,undefined \
//     -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS=-fsanitize=fuzzer-no-link
//   build/fuzz/region_fuzzer -max_len=200000 -max_total_time=60 CORPUS
// A first corpus: the file that `region_fuzzer_seed` writes.

#include <cstddef>
#include <cstdint>

#include "tools/read/decode.h"
#include "tools/read/region_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  auto region = memtrace::RegionFile::FromBytes(bytes, size, "fuzz");
  if (!region.ok()) return 0;
  absl::StatusOr<memtrace::Profile> profile = memtrace::DecodeRegion(**region);
  if (!profile.ok()) return 0;
  for (const memtrace::Sample& sample : profile->samples()) {
    if (sample.values.inuse_bytes < 0 || sample.node >= profile->nodes().size()) __builtin_trap();
  }
  return 0;
}
