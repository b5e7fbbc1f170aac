// What a profile, a place and a view are called: the phrases that all renderers share.

#ifndef MEMTRACE_TOOLS_RENDER_WORDS_H_
#define MEMTRACE_TOOLS_RENDER_WORDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/model/aggregate.h"
#include "tools/model/profile.h"

namespace memtrace {

// Figures of the chosen processes together.
struct Overview {
  const Process* main = nullptr;  // the first Python program, else the one that allocates most
  size_t others = 0;              // processes beside it that allocated, or did not only exec
  int64_t now_bytes = 0;
  int64_t now_blocks = 0;
  int64_t peak_bytes = 0;  // of several processes: the sum of each one's own peak
  int64_t peak_bound = 0;
  int64_t alloc_bytes = 0;
  int64_t alloc_blocks = 0;
  int64_t temporary_bytes = 0;
  int64_t temporary_blocks = 0;
  Values mapped, mapped_files;  // address space, which is in none of the above
  uint64_t lost = 0;
  std::vector<LossCount> losses;          // by reason
  std::vector<const Process*> processes;  // all that were chosen
  std::vector<const Process*> counted;    // without members of groups that are among them
};

Overview Summarize(const Profile& profile, const std::string& pick);

// "exited 0 after 1.8 s", "killed by SIGKILL after 2.0 s", "running for 3.1 s"
std::string EndText(const Process& process);

// "python main.py (CPython 3.12.1) exited 0 after 1.8 s, and 2 other processes"
std::string ProcessText(const Overview& overview);

// "66.8 MiB", "66.8 MiB ±64.0 KiB"
std::string PeakText(const Overview& overview);

// "mapped: 1.2 GiB anonymous, 300 MiB of files"; "" when the program has mapped nothing.
std::string MappedText(const Overview& overview);

// "0 lost"; "12 lost (region_full 12)"
std::string LostText(const Overview& overview);

// What makes the figures less than the whole truth, one sentence each; mostly none.
std::vector<std::string> Notes(const Overview& overview);

// "main.py:9", "main.py", "load (main.py)", "libfoo.so!make", "libfoo.so+0x1234"; native frames of
// a stack: "make (src/foo.cc:9)", "make [libfoo.so]", "0x1234 [libfoo.so]"
std::string PlaceText(const Place& place, GroupBy by);
std::string RowText(const Row& row, GroupBy by);

// "malloc, python.obj"
std::string DomainsText(uint32_t domains, const char* separator = ",");

// "now, by line"; "at peak, by your own lines"
std::string ViewText(const View& view);

const char* NameOf(GroupBy by);
const char* NameOf(Metric metric);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_RENDER_WORDS_H_
