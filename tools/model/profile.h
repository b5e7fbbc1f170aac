// The profile model: what every report, comparison and file is made of.
//
// A Profile is a set of samples. A sample is (stack, domain, thread, process, label) with eight
// figures; it owns nothing else. Stacks are nodes of one tree, so common outer frames are stored
// once. Strings, functions, frames and nodes are interned: two equal ones have the same id, and id
// 0 is "none".
//
// Invariants
//  1. nodes[i].parent < i; node 0 is the empty stack.
//  2. No two samples have the same key (all but the figures): AddSample merges.
//  3. Totals are always computed from the samples, never stored beside them.
//
// Units: bytes and block counts, signed (a difference of profiles is a profile too).
// Threading: none; a Profile belongs to one thread.

#ifndef MEMTRACE_TOOLS_MODEL_PROFILE_H_
#define MEMTRACE_TOOLS_MODEL_PROFILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "core/layout.h"
#include "tools/model/ledger.h"

namespace memtrace {

using StringId = uint32_t;
using FunctionId = uint32_t;
using FrameId = uint32_t;
using NodeId = uint32_t;

// The figures of a sample. `alloc`: all blocks ever allocated. `inuse`: live when the snapshot was
// taken. `peak`: live at the moment when the process held most. `temporary`: freed before the
// thread's next allocation.
struct Values {
  int64_t alloc_objects = 0;
  int64_t alloc_bytes = 0;
  int64_t inuse_objects = 0;
  int64_t inuse_bytes = 0;
  int64_t peak_objects = 0;
  int64_t peak_bytes = 0;
  int64_t temporary_objects = 0;
  int64_t temporary_bytes = 0;

  Values& operator+=(const Values& o);
  Values& operator-=(const Values& o);
  bool operator==(const Values& o) const;
  bool IsZero() const { return *this == Values{}; }
};

struct Function {
  StringId name = 0;      // "" when unknown
  StringId filename = 0;  // source file as recorded; for native code the module's path if no source
  int64_t start_line = 0;
};

struct Frame {
  FrameKind kind = FrameKind::kNone;
  FunctionId function = 0;
  int64_t line = 0;      // 0: unknown
  StringId module = 0;   // native: path of the shared object
  uint64_t address = 0;  // native: file-relative address
};

struct Node {
  NodeId parent = 0;
  FrameId frame = 0;
};

struct Sample {
  NodeId node = 0;     // innermost frame of the Python (or mixed) stack; 0: none
  FrameId caller = 0;  // immediate native caller of malloc, when known
  Domain domain = Domain::kNone;
  uint16_t thread = 0;   // index in Process::threads
  uint32_t process = 0;  // index in Profile::processes
  Values values;
  StringId label = 0;  // names that the program gave to its work, "outer/inner"; 0: none
};

struct Thread {
  int32_t tid = 0;
  std::string name;
  uint32_t users = 1;  // threads that used this slot one after the other
  bool ended = false;
};

struct LossCount {
  std::string reason;  // stable identifier, e.g. "region_full"
  uint64_t events = 0;
  uint64_t bytes = 0;
};

struct TimelineBucket {
  int64_t elapsed_ns = 0;
  int64_t live_bytes_min = 0;
  int64_t live_bytes_max = 0;
  int64_t rss_bytes = -1;  // -1: not sampled
};

struct Module {
  std::string path;
  std::string build_id;  // lower-case hex
  uint64_t start = 0;    // load range in that process
  uint64_t end = 0;
  uint64_t bias = 0;
  uint32_t generation = 0;
};

// Figures without stacks.
struct DomainFigures {
  Domain domain = Domain::kNone;
  Values values;
};

// A bit of Process::flags beside those of RegionFlag: some native code got no source lines, as the
// time for that was up.
inline constexpr uint32_t kFlagNamesCutShort = 1u << 31;

enum class EndKind { kUnknown, kRunning, kExited, kSignaled, kDied, kReplacedByExec };

struct Process {
  int32_t pid = 0;
  int32_t parent_pid = 0;
  std::vector<std::string> command;  // argv
  std::string executable;
  std::string working_dir;
  std::string python;       // "3.12.1", empty: no interpreter
  std::string python_text;  // Py_GetVersion()
  int64_t start_realtime_ns = 0;
  int64_t duration_ns = 0;  // until the end, or until the snapshot
  EndKind end = EndKind::kUnknown;
  int end_status = 0;             // exit status, or signal number
  int64_t peak_bytes = 0;         // as measured; equals the sum of peak_bytes within peak_bound
  int64_t peak_bound = 0;         // 0: exact
  int64_t peak_elapsed_ns = -1;   // when, -1: unknown
  uint32_t stack_depth = 0;       // 0: whole stacks
  uint32_t flags = 0;             // RegionFlag, kFlagNamesCutShort
  int64_t inherited_bytes = 0;    // live at fork, still live, owned by the parent; not in samples
  std::string unwind_method;      // how native stacks were taken; empty: they were not
  uint64_t stacks_checked = 0;    // native stacks compared with a full unwinding,
  uint64_t stacks_different = 0;  // of those: not the same
  uint64_t stacks_cut = 0;        // native stacks that end before the thread's outermost frame
  std::vector<Thread> threads;
  std::vector<LossCount> losses;  // nonzero ones only
  std::vector<TimelineBucket> timeline;
  std::vector<Module> modules;
  // Of resident memory: the last one, and the one of the highest, if that is another.
  std::vector<Ledger> ledgers;

  // Of the very many processes of a tree, those of one program are added up: one Process, the
  // group, has the samples of all (pid 0, one thread), the members only their figures.
  uint32_t group_size = 0;             // processes that a group stands for; 0: no group
  uint32_t added_to = 0;               // of a member: 1 + index of its group
  std::vector<DomainFigures> figures;  // of a member: what it contributed, by domain

  bool is_group() const { return group_size > 0; }
  bool is_member() const { return added_to > 0; }
};

struct SourceLine {
  StringId filename = 0;
  int64_t line = 0;
  std::string text;  // stripped
};

class Profile {
 public:
  Profile();

  // Interning. The views need not outlive the call.
  StringId InternString(absl::string_view text);
  FunctionId InternFunction(const Function& function);
  FrameId InternFrame(const Frame& frame);
  NodeId InternNode(NodeId parent, FrameId frame);

  // Room for that many, so that tables need not grow step by step. A hint: they grow all the same.
  void Reserve(size_t nodes, size_t samples);

  // Adds the values to the sample of the same key, or makes it.
  void AddSample(const Sample& sample);

  // Appends another profile's processes and samples (the other's process i becomes the returned
  // value + i).
  uint32_t Merge(const Profile& other);

  // Adds the other profile's samples to a process of this one, as its thread 0.
  void AddUp(const Profile& other, uint32_t process);

  const std::string& string(StringId id) const { return strings_[id]; }
  const Function& function(FunctionId id) const { return functions_[id]; }
  const Frame& frame(FrameId id) const { return frames_[id]; }
  const Node& node(NodeId id) const { return nodes_[id]; }

  const std::vector<std::string>& strings() const { return strings_; }
  const std::vector<Function>& functions() const { return functions_; }
  const std::vector<Frame>& frames() const { return frames_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Sample>& samples() const { return samples_; }

  // Frames of a stack, innermost first.
  std::vector<FrameId> Stack(NodeId node) const;

  Values Totals() const;
  // The same of memory alone: address space (IsAddressSpace) is none.
  Values MemoryTotals() const;

  // What the sample columns do not hold.
  std::vector<Process> processes;
  std::vector<SourceLine> source_lines;
  int64_t taken_realtime_ns = 0;  // when the snapshot was taken
  std::string tool_version;

 private:
  template <typename Change>
  void CopySamples(const Profile& other, Change change);
  void CopySourceLines(const Profile& other, const std::vector<StringId>& strings);

  struct SampleKey {
    NodeId node;
    FrameId caller;
    uint32_t process;
    StringId label;
    uint16_t thread;
    uint8_t domain;
    bool operator==(const SampleKey& o) const {
      return std::tie(node, caller, process, label, thread, domain) ==
             std::tie(o.node, o.caller, o.process, o.label, o.thread, o.domain);
    }
    template <typename H>
    friend H AbslHashValue(H h, const SampleKey& k) {
      return H::combine(std::move(h), k.node, k.caller, k.process, k.label, k.thread, k.domain);
    }
  };

  // Children are found in a short list, which is near in memory when stacks come in order; those
  // beyond the first kListed of a node by node_ids_. 0: none.
  static constexpr uint32_t kListed = 6;
  struct Links {
    NodeId last_asked = 0;  // the child asked for last
    NodeId newest = 0;      // the first of the children that are listed
    NodeId next_sibling = 0;
    uint32_t listed = 0;  // children
  };
  NodeId ListedChild(NodeId parent, FrameId frame) const;
  NodeId AddNode(NodeId parent, FrameId frame);

  std::vector<std::string> strings_;
  std::vector<Function> functions_;
  std::vector<Frame> frames_;
  std::vector<Node> nodes_;
  std::vector<Links> links_;  // of each node
  std::vector<Sample> samples_;
  absl::flat_hash_map<std::string, StringId> string_ids_;
  absl::flat_hash_map<std::tuple<StringId, StringId, int64_t>, FunctionId> function_ids_;
  absl::flat_hash_map<std::tuple<uint32_t, FunctionId, int64_t, StringId, uint64_t>, FrameId>
      frame_ids_;
  absl::flat_hash_map<uint64_t, NodeId> node_ids_;
  absl::flat_hash_map<SampleKey, uint32_t> sample_ids_;
};

// Stable names of the domains: "malloc", "python.mem", "python.obj", "mmap", "mmap.file".
absl::string_view DomainName(Domain domain);
// kNone when unknown.
Domain DomainFromName(absl::string_view name);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_PROFILE_H_
