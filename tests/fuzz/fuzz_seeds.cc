// fuzz_seeds FOLDER [FILE…]: first inputs for the fuzzers, in FOLDER/region, FOLDER/snapshot and
// FOLDER/gzip: regions and snapshots built here, and real ones that are named.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "tests/fuzz/sparse_bytes.h"
#include "tests/unit/tools/model/grouped_profile.h"
#include "tests/unit/tools/model/gzip_bytes.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tests/unit/tools/read/rich_region.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

class Corpus {
 public:
  explicit Corpus(const std::string& folder) : folder_(folder) {
    for (const char* kind : {"region", "snapshot", "gzip"}) {
      std::filesystem::create_directories(folder + "/" + kind);
    }
  }
  void AddRegion(const std::string& name, const std::string& bytes) {
    Write("region/" + name, testing::PackSparse(bytes));
  }
  void AddSnapshot(const std::string& name, const std::string& bytes) {
    Write("gzip/" + name, bytes);
    Write("snapshot/" + name, Gunzip(bytes));
  }
  void AddFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes(testing::kMostSparseBytes, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    // A region is sparse, and far longer than its content.
    const size_t content = bytes.find_last_not_of('\0') + 1;
    bytes.resize(std::min<size_t>((content + 4095) / 4096 * 4096, bytes.size()));
    const std::string name = std::filesystem::path(path).filename();
    if (bytes.compare(0, 2, "\x1f\x8b") == 0) {
      AddSnapshot(name, bytes);
    } else {
      AddRegion(name, bytes);
    }
  }
  bool ok() const { return ok_; }

 private:
  void Write(const std::string& name, const std::string& bytes) {
    ok_ &= !bytes.empty() &&
           (std::ofstream(folder_ + "/" + name, std::ios::binary) << bytes).flush().good();
  }
  const std::string folder_;
  bool ok_ = true;
};

void AddBuilt(Corpus* corpus) {
  testing::RegionBuilder sample, rich, mixed;
  testing::FillSample(&sample);
  corpus->AddRegion("sample", sample.Bytes());
  testing::FillRich(&rich);
  corpus->AddRegion("rich", rich.Bytes());
  testing::FillMixed(&mixed);
  corpus->AddRegion("mixed", mixed.Bytes());
  corpus->AddSnapshot("small", *SnapshotBytes(SmallProfile()));
  corpus->AddSnapshot("random", *SnapshotBytes(RandomProfile(1, 30)));
  WriteOptions strict;
  strict.strict_pprof = true;
  corpus->AddSnapshot("strict", *SnapshotBytes(RandomProfile(2, 10), strict));
  corpus->AddSnapshot("groups", *SnapshotBytes(Grouped(3)));
  corpus->AddSnapshot("empty", *SnapshotBytes(Profile()));
}

}  // namespace
}  // namespace memtrace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: fuzz_seeds FOLDER [REGION | SNAPSHOT]...\n";
    return 2;
  }
  memtrace::Corpus corpus(argv[1]);
  memtrace::AddBuilt(&corpus);
  for (int i = 2; i < argc; ++i) corpus.AddFile(argv[i]);
  if (!corpus.ok()) std::cerr << "fuzz_seeds: an input could not be read, or not be written\n";
  return corpus.ok() ? 0 : 1;
}
