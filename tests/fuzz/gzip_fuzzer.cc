// libFuzzer target: any bytes as a snapshot file, on disk: an error or a profile.

#include <google/protobuf/stubs/logging.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/unit/tools/read/well_formed.h"
#include "tools/model/snapshot_file.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const int fd = memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, size, 0) != static_cast<ssize_t>(size)) return 0;
  for (const bool header_only : {false, true}) {
    const absl::StatusOr<memtrace::Profile> profile =
        memtrace::ReadSnapshotFile(path, {header_only});
    if (profile.ok() && !memtrace::testing::WhatIsMisplaced(*profile).empty()) __builtin_trap();
  }
  return 0;
}
