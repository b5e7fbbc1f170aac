// Profiles -> tables: grouping, filtering and comparing samples.
//
// Role. Everything that a report or a comparison shows is computed here; renderers only lay it out.
// A comparison is one table with two columns of values, so both sides are grouped and filtered by
// the same code.
//
// The algebra (tested with random profiles):
//  1. Compare(a, a) has no row.
//  2. Compare(a, b) has the rows of Compare(b, a) with the changes negated.
//  3. Without `cumulative`, the rows' values sum to Table::selected (but IsBeside).
//  4. Filtering before comparing is the same as comparing the filtered profiles.
//
// A sample belongs to one place: its innermost Python frame, or with `own` the innermost frame of
// the program's own code, whichever language. Without any Python frame it is the innermost native
// one that has a source line and is no layer above malloc (tools/model/native_code.h), or the
// native caller of malloc. Filters look at that place.
//
// Address space (mmap, mmap.file) is no memory: it is left out unless the filter by domain asks for
// it. A table by domain has it beside the rest.
//
// Threading: none. Errors: InvalidArgument for a view that makes no sense, NotFound for a process
// that is not in the profile.

#ifndef MEMTRACE_TOOLS_MODEL_AGGREGATE_H_
#define MEMTRACE_TOOLS_MODEL_AGGREGATE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/model/file_names.h"
#include "tools/model/profile.h"

namespace memtrace {

enum class GroupBy {
  kLine,
  kFile,
  kFunction,
  kTraceback,
  kDomain,
  kThread,
  kProcess,
  kModule,
  kLabel
};
enum class Metric { kNow, kPeak, kTotal, kTemporary };

struct View {
  GroupBy by = GroupBy::kLine;
  Metric metric = Metric::kNow;
  bool own = false;
  bool cumulative = false;
  bool keep_unchanged = false;       // comparisons: also rows whose figures are the same
  std::vector<Domain> domains;       // empty: all of memory
  std::vector<std::string> include;  // glob patterns over files; empty: all
  std::vector<std::string> exclude;
  std::vector<std::string> labels;  // glob patterns over labels and those they are in; empty: all
  std::vector<PathMapping> mappings;
  std::string process;  // pid or name; "": all
};

// A place in a program, in words.
struct Place {
  FrameKind kind = FrameKind::kNone;
  FileName file;  // native code without source: the module
  int64_t line = 0;
  std::string function;
  uint64_t address = 0;  // native
};

// Many stacks share few places.
using PlaceRef = std::shared_ptr<const Place>;

// Sets of domains: bit i is Domain i.
constexpr uint32_t DomainBit(Domain domain) { return 1u << static_cast<uint32_t>(domain); }
inline constexpr uint32_t kAddressSpaceDomains =
    DomainBit(Domain::kMmap) | DomainBit(Domain::kMmapFile);

struct Row {
  std::string key;               // equal in two profiles when they mean the same
  std::vector<PlaceRef> frames;  // innermost first; one unless by traceback; none for other groups
  std::string label;             // what the row is when it has no frame: a domain, a thread, ...
  uint32_t domains = 0;          // those that contributed
  Values values;                 // of the profile, or of the new one
  Values old_values;             // comparisons only
};

struct Table {
  View view;
  bool is_comparison = false;
  std::vector<Row> rows;          // in tracemalloc's order
  Values selected, old_selected;  // all samples that passed the filters
  Values whole, old_whole;        // all of the chosen processes: of memory, of address space, or of
                                  // both, as the domains asked for are of one or the other
};

// Whether a row of address space is shown beside memory: it has no part in the sums.
bool IsBeside(const Row& row, const Table& table);
// What the row's share is of; 0: it has none.
int64_t WholeOf(const Row& row, const Table& table);

absl::StatusOr<Table> Aggregate(const Profile& profile, const View& view);
absl::StatusOr<Table> Compare(const Profile& old_profile, const Profile& new_profile,
                              const View& view);

// InvalidArgument for options that do not go together.
absl::Status CheckView(const View& view);

// Figures of a row under the table's metric.
int64_t SizeOf(const Values& values, Metric metric);
int64_t CountOf(const Values& values, Metric metric);

// Whether a table of this metric also tells what became of the blocks: how much of them is live
// still, and how many were temporary. Only these two count blocks that are gone.
inline bool ShowsChurn(Metric metric) {
  return metric == Metric::kTotal || metric == Metric::kTemporary;
}

// Indices of the processes that `pick` (a pid or a name; "": all) means.
absl::StatusOr<std::vector<uint32_t>> PickProcesses(const Profile& profile,
                                                    const std::string& pick);

// "python main.py", in one line.
std::string CommandText(const Process& process);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_AGGREGATE_H_
