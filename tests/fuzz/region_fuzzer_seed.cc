// Writes a small valid region, for the fuzzer to start from.

#include <fstream>

#include "tests/unit/tools/read/region_builder.h"

int main(int argc, char** argv) {
  memtrace::testing::RegionBuilder builder;
  memtrace::testing::FillSample(&builder);
  std::ofstream(argc > 1 ? argv[1] : "region_seed", std::ios::binary) << builder.Bytes();
  return 0;
}
