// Content that is as expensive to read as it can be for its size, of every kind there is: the heap
// that reading takes stays within what tools/model/read_budget.h promises. And the most regular
// files that honest programs make are read.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/tools/hostile/limits.h"
#include "tests/unit/tools/hostile/wire.h"
#include "tests/unit/tools/model/gzip_bytes.h"
#include "tests/unit/tools/model/random_profile.h"
#include "tools/model/read_budget.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

using testing::Number;
using testing::Piece;
using testing::Repeated;
using testing::Varint;

// Fields of pprof.Profile and of the extension, by number: what a hostile writer thinks in.
constexpr int kSampleType = 1, kSample = 2, kMapping = 3, kLocation = 4, kFunction = 5, kString = 6;
constexpr int kExtension = 10000, kProcess = 4, kSourceLine = 5, kColumns = 6;
constexpr int kCommand = 3, kThread = 18, kLoss = 19, kTimeline = 20, kModule = 21, kLedger = 30;
constexpr int kFigures = 24;

// Another program's profile with one sample type, up to where its samples begin.
std::string Beginning() {
  return Piece(kString, "") + Piece(kString, "inuse_space") + Piece(kString, "bytes") +
         Piece(kSampleType, Number(1, 1) + Number(2, 2));
}

std::string Header(const std::string& more) { return Piece(kExtension, Number(1, 1) + more); }

std::string InProcess(const std::string& more) { return Header(Piece(kProcess, more)); }

// Pieces that differ by a number, until there are enough of them.
std::string Counted(size_t bytes, const std::function<std::string(uint64_t)>& piece) {
  std::string all;
  for (uint64_t i = 1; all.size() < bytes; ++i) all += piece(i);
  return all;
}

std::string IdOnly(int field, size_t bytes) {
  return Counted(bytes, [field](uint64_t i) { return Piece(field, Number(1, i)); });
}

// A location of many inlined frames, named by a sample over and over.
std::string DeepWalk(size_t bytes) {
  const std::string lines = Counted(bytes / 2, [](uint64_t i) { return Piece(4, Number(2, i)); });
  return Piece(kSample, Piece(1, Repeated(Varint(1), bytes / 2)) + Number(2, 1)) +
         Piece(kLocation, Number(1, 1) + lines);
}

// Two such locations, named by samples in turn: nothing is new after the second sample, and nothing
// is shared with the one before.
std::string EndlessWalk(size_t bytes) {
  std::string both;
  for (uint64_t id : {1, 2}) {
    std::string lines;
    for (uint64_t line = 1; line <= 5000; ++line) lines += Piece(4, Number(2, line));
    both += Piece(kLocation, Number(1, id) + lines);
  }
  const auto sample = [](uint64_t i) {
    return Piece(kSample, Piece(1, Repeated(Varint(1 + i % 2), 20)) + Number(2, 1));
  };
  return both + Counted(bytes, sample);
}

// Samples whose stacks have nothing in common: each of their frames is a node.
std::string Forest(size_t bytes) {
  const auto sample = [](uint64_t i) {
    std::string ids;
    for (uint64_t k = 0; k < 60; ++k) ids += Varint(1 + (i * 2654435761u >> (k % 20)) % 120);
    return Piece(kSample, Piece(1, ids) + Number(2, 1));
  };
  return IdOnly(kLocation, 500) + Counted(bytes, sample);
}

std::string NumbersOf(int fields, size_t bytes) {
  std::string all;
  for (int field = 1; field <= fields; ++field) {
    all += Piece(field, std::string(bytes / fields, '\2'));
  }
  return all;
}

struct Bomb {
  const char* what;
  std::function<std::string(size_t)> content;  // of about so many bytes
};

const std::vector<Bomb>& Bombs() {
  static const std::vector<Bomb> bombs = {
      {"empty strings", [](size_t n) { return Beginning() + Repeated(Piece(kString, ""), n); }},
      {"short strings",
       [](size_t n) {
         return Beginning() + Counted(n, [](uint64_t i) { return Piece(kString, Varint(i)); });
       }},
      {"strings just too long to lie in their object",
       [](size_t n) {
         return Beginning() + Counted(n, [](uint64_t i) {
                  return Piece(kString, std::string(14, 'x') + Varint(i));
                });
       }},
      {"one string", [](size_t n) { return Beginning() + Piece(kString, std::string(n, 'x')); }},
      {"functions", [](size_t n) { return Beginning() + IdOnly(kFunction, n); }},
      {"functions with lines",
       [](size_t n) {
         return Beginning() + Counted(n, [](uint64_t i) {
                  return Piece(kFunction, Number(1, i) + Number(5, i));
                });
       }},
      {"mappings", [](size_t n) { return Beginning() + IdOnly(kMapping, n); }},
      {"locations", [](size_t n) { return Beginning() + IdOnly(kLocation, n); }},
      {"locations with addresses",
       [](size_t n) {
         return Beginning() + Counted(n, [](uint64_t i) {
                  return Piece(kLocation, Number(1, i) + Number(3, i));
                });
       }},
      {"a location of empty lines",
       [](size_t n) {
         return Beginning() + Piece(kLocation, Number(1, 1) + Repeated(Piece(4, ""), n));
       }},
      {"a location of many lines",
       [](size_t n) {
         return Beginning() + Piece(kLocation, Number(1, 1) + Counted(n, [](uint64_t i) {
                                                 return Piece(4, Number(2, i));
                                               }));
       }},
      {"samples that are the same",
       [](size_t n) { return Beginning() + Repeated(Piece(kSample, Number(2, 1)), n); }},
      {"samples at their own places",
       [](size_t n) {
         return Beginning() + IdOnly(kLocation, n / 2) + Counted(n / 2, [](uint64_t i) {
                  return Piece(kSample, Number(1, i) + Number(2, 1));
                });
       }},
      {"a sample of one location often",
       [](size_t n) {
         return Beginning() + IdOnly(kLocation, 1) +
                Piece(kSample, Piece(1, Repeated(Varint(1), n)) + Number(2, 1));
       }},
      {"a sample of locations one by one",
       [](size_t n) {
         return Beginning() + IdOnly(kLocation, 1) +
                Piece(kSample, Repeated(Number(1, 1), n) + Number(2, 1));
       }},
      {"a sample of values",
       [](size_t n) { return Beginning() + Piece(kSample, Piece(2, std::string(n, '\1'))); }},
      {"a sample of labels",
       [](size_t n) {
         return Beginning() + Piece(kSample, Number(2, 1) + Repeated(Piece(3, ""), n));
       }},
      {"a sample of unknown numbers",
       [](size_t n) {
         return Beginning() + Piece(kSample, Number(2, 1) + Repeated(Number(9, 0), n));
       }},
      {"a sample of unknown texts",
       [](size_t n) {
         return Beginning() + Piece(kSample, Number(2, 1) + Repeated(Piece(9, ""), n));
       }},
      {"stacks with nothing in common", [](size_t n) { return Beginning() + Forest(n); }},
      {"a deep walk", [](size_t n) { return Beginning() + DeepWalk(n); }},
      {"an endless walk", [](size_t n) { return Beginning() + EndlessWalk(n); }},
      {"sample types with a long name",
       [](size_t n) {
         return Piece(kString, "") + Piece(kString, std::string(n / 2, 'x')) +
                Repeated(Piece(kSampleType, Number(1, 1)), n / 2);
       }},
      {"processes", [](size_t n) { return Header(Repeated(Piece(kProcess, ""), n)); }},
      {"source lines", [](size_t n) { return Header(Repeated(Piece(kSourceLine, ""), n)); }},
      {"source lines of files",
       [](size_t n) {
         return Header(Counted(n, [](uint64_t i) {
           return Piece(kSourceLine, Piece(1, std::string(14, 'x') + Varint(i)));
         }));
       }},
      {"arguments", [](size_t n) { return InProcess(Repeated(Piece(kCommand, ""), n)); }},
      {"one argument", [](size_t n) { return InProcess(Piece(kCommand, std::string(n, 'x'))); }},
      {"threads", [](size_t n) { return InProcess(Repeated(Piece(kThread, ""), n)); }},
      {"threads with names",
       [](size_t n) { return InProcess(Repeated(Piece(kThread, Piece(2, "n")), n)); }},
      {"losses", [](size_t n) { return InProcess(Repeated(Piece(kLoss, ""), n)); }},
      {"modules", [](size_t n) { return InProcess(Repeated(Piece(kModule, ""), n)); }},
      {"modules with texts",
       [](size_t n) {
         return InProcess(Repeated(Piece(kModule, Piece(1, "p") + Piece(2, "b")), n));
       }},
      {"figures", [](size_t n) { return InProcess(Repeated(Piece(kFigures, ""), n)); }},
      {"unknown numbers in figures",
       [](size_t n) { return InProcess(Piece(kFigures, Repeated(Number(99, 1), n))); }},
      {"ledgers", [](size_t n) { return InProcess(Repeated(Piece(kLedger, ""), n)); }},
      {"parts of a ledger",
       [](size_t n) { return InProcess(Piece(kLedger, Repeated(Piece(5, ""), n))); }},
      {"items of a ledger",
       [](size_t n) { return InProcess(Piece(kLedger, Piece(5, Repeated(Piece(3, ""), n)))); }},
      {"pins of a ledger",
       [](size_t n) { return InProcess(Piece(kLedger, Repeated(Piece(9, Piece(1, "p")), n))); }},
      {"a timeline", [](size_t n) { return InProcess(Piece(kTimeline, NumbersOf(4, n))); }},
      {"a timeline point by point",
       [](size_t n) {
         return InProcess(Piece(
             kTimeline, Repeated(Number(1, 1) + Number(2, 1) + Number(3, 1) + Number(4, 1), n)));
       }},
      {"unknown numbers", [](size_t n) { return InProcess(Repeated(Number(99, 1), n)); }},
      {"unknown texts", [](size_t n) { return InProcess(Repeated(Piece(99, ""), n)); }},
      {"unknown numbers in a thread",
       [](size_t n) { return InProcess(Piece(kThread, Repeated(Number(9, 1), n))); }},
      {"unknown groups",
       [](size_t n) { return InProcess(Repeated(Varint(9 << 3 | 3) + Varint(9 << 3 | 4), n)); }},
      {"columns", [](size_t n) { return Header(Piece(kColumns, NumbersOf(7, n))) + Beginning(); }},
      {"columns of large numbers",
       [](size_t n) {
         return Header(Piece(kColumns, Piece(5, std::string(n, '\2')))) + Beginning();
       }},
      {"columns number by number",
       [](size_t n) { return Header(Piece(kColumns, Repeated(Number(5, 2), n))) + Beginning(); }},
      {"columns in pieces",
       [](size_t n) {
         return Header("") + Beginning() +
                Repeated(Piece(kExtension, Piece(kColumns, NumbersOf(7, 7000))), n);
       }},
      {"unknown fields", [](size_t n) { return Beginning() + Repeated(Piece(99, "x"), n); }},
      {"an unknown field", [](size_t n) { return Beginning() + Piece(99, std::string(n, 'x')); }},
  };
  return bombs;
}

void CheckBomb(const Bomb& bomb, size_t size) {
  SCOPED_TRACE(absl::StrCat(bomb.what, ", ", size, " bytes"));
  const std::string file = Gzip(bomb.content(size));
  const testing::Deadline deadline(20);
  const testing::HeapMeter meter;
  const absl::StatusOr<Profile> profile = ReadSnapshotBytes(file);
  const int64_t heap = meter.Peak();
  if (profile.ok()) {
    EXPECT_EQ(testing::WhatIsMisplaced(*profile), "");
  }
  EXPECT_LE(heap, kHeapBase + kHeapRatio * static_cast<int64_t>(file.size()));
  // Where deflate was of use, the file is small, and this is the tighter bound.
  if (file.size() * 50 < size) {
    EXPECT_LE(heap, testing::kAllowedHeap + 4 * static_cast<int64_t>(file.size()));
  }
}

TEST(HostileSnapshot, BombsTakeNoMoreHeapThanTheBudget) {
  if (!testing::HeapIsMetered()) GTEST_SKIP() << "the sanitizer has a heap of its own";
  for (const Bomb& bomb : Bombs()) {
    for (size_t size : {size_t{1} << 14, size_t{1} << 18, size_t{2} << 20}) CheckBomb(bomb, size);
  }
  CheckBomb({"an unknown field", [](size_t n) { return Piece(99, std::string(n, 'x')); }},
            size_t{200} << 20);
}

// What deflate makes most of among honest files: every thread at the same places, with the same
// figures.
TEST(RegularSnapshot, OfManyEqualThreadsIsRead) {
  constexpr int kThreads = 150, kPlaces = 4000, kDepth = 30;
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/app"));
  profile.processes[0].threads.resize(kThreads);
  std::vector<NodeId> places;
  for (int i = 0; i < kPlaces; ++i) {
    NodeId node = 0;
    for (int depth = 0; depth < kDepth; ++depth) {
      const int line = i / (depth < kDepth / 2 ? 64 : 1) % 64;
      node = profile.InternNode(node, PythonFrame(&profile, "app.py", "f", 100 * depth + line));
    }
    places.push_back(profile.InternNode(node, PythonFrame(&profile, "app.py", "g", i)));
  }
  for (int i = 0; i < kPlaces; ++i) {
    for (int thread = 0; thread < kThreads; ++thread) {
      profile.AddSample({places[i],
                         0,
                         Domain::kPythonObj,
                         static_cast<uint16_t>(thread),
                         0,
                         {1, 64, 1, 64, 1, 64, 0, 0}});
    }
  }
  const std::string file = *SnapshotBytes(profile);
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(file);
  ASSERT_TRUE(read.ok()) << read.status() << ", a file of " << file.size() << " bytes";
  EXPECT_EQ(read->samples().size(), size_t{kThreads} * kPlaces);
}

// Each of the stacks is a frame longer than the one before: their content is hundreds of times what
// is in it.
TEST(RegularSnapshot, OfDeepRecursionTakesLittleHeap) {
  constexpr int kDepth = 10000;
  Profile profile;
  profile.processes.push_back(PythonProcess(1, "/app"));
  const FrameId frame = PythonFrame(&profile, "deep.py", "f", 3);
  NodeId node = 0;
  for (int i = 0; i < kDepth; ++i) {
    node = profile.InternNode(node, frame);
    profile.AddSample({node, 0, Domain::kPythonObj, 0, 0, {1, 64, 1, 64, 1, 64, 0, 0}});
  }
  const std::string file = *SnapshotBytes(profile);
  const testing::HeapMeter meter;
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(file);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->samples().size(), size_t{kDepth});
  EXPECT_EQ(read->Stack(read->samples().back().node).size(), size_t{kDepth});
  if (testing::HeapIsMetered()) {
    EXPECT_LE(meter.Peak(), 20'000'000) << "a file of " << file.size() << " bytes";
  }
}

// A build system's run: thousands of short processes, all with the same modules.
TEST(RegularSnapshot, OfManyProcessesIsRead) {
  Profile profile;
  for (int pid = 1; pid <= 2000; ++pid) {
    Process process = PythonProcess(pid, "/app");
    for (uint64_t i = 1; i <= 50; ++i) {
      const uint64_t bias = (pid * 7919 + i * 104729) << 12;
      process.modules.push_back({absl::StrCat("/usr/lib/x86_64-linux-gnu/lib", i, ".so"),
                                 "0123456789abcdef0123456789abcdef01234567", bias, bias + (i << 12),
                                 bias, 1});
    }
    profile.processes.push_back(process);
  }
  const std::string file = *SnapshotBytes(profile);
  const absl::StatusOr<Profile> read = ReadSnapshotBytes(file);
  ASSERT_TRUE(read.ok()) << read.status() << ", a file of " << file.size() << " bytes";
  EXPECT_EQ(read->processes.size(), 2000u);
}

}  // namespace
}  // namespace memtrace
