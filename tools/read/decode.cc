#include "tools/read/decode.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "tools/read/clock.h"
#include "tools/read/figures.h"
#include "tools/read/label_reader.h"
#include "tools/read/module_list.h"
#include "tools/read/section_view.h"
#include "tools/read/stack_decoder.h"
#include "tools/read/stack_merger.h"

namespace memtrace {
namespace {

constexpr uint32_t kMaxThreads = 1u << 16;  // Sample::thread has 16 bits
constexpr int kMostArguments = 1 << 17;     // those beyond stay in one piece

int64_t Nanos(uint64_t value) {
  return static_cast<int64_t>(std::min<uint64_t>(value, INT64_MAX / 4));
}

class Decoder {
 public:
  Decoder(const RegionFile& region, const DecodeOptions& options)
      : region_(region), header_(region.header()), options_(options) {}

  absl::StatusOr<Profile> Decode();

 private:
  absl::Status ReadIdentity();
  absl::Status ReadModuleList();
  absl::Status ReadThreads();
  void ReadLosses();
  void ReadTimeline();
  void ReadTimes(const Figures& figures);
  absl::Status AddSamples(const Figures& figures);
  absl::Status Text(uint32_t id, std::string* out) const;
  absl::Status Damaged(const std::string& what) const {
    return absl::DataLossError(absl::StrFormat("%s: damaged: %s", region_.path(), what));
  }

  const RegionFile& region_;
  const Header& header_;
  const DecodeOptions& options_;
  Profile profile_;
  Process process_;
  std::vector<Module> modules_;         // index = id of the region
  std::vector<uint32_t> thread_index_;  // of a slot, in Process::threads
};

absl::Status Decoder::Text(uint32_t id, std::string* out) const {
  absl::StatusOr<std::string> text = ReadString(region_, id);
  if (!text.ok()) return text.status();
  *out = *std::move(text);
  return absl::OkStatus();
}

absl::Status Decoder::ReadIdentity() {
  process_.pid = header_.pid;
  process_.parent_pid = header_.parent_pid;
  process_.start_realtime_ns = Nanos(header_.start_realtime_ns);
  process_.stack_depth = header_.stack_depth;
  process_.flags = header_.flags.load(std::memory_order_relaxed) & ~kFlagNamesCutShort;
  process_.python = PythonVersionText(header_.python_version);
  process_.stacks_checked = header_.stacks_checked.load(std::memory_order_relaxed);
  process_.stacks_different = header_.stacks_different.load(std::memory_order_relaxed);
  process_.stacks_cut = header_.stacks_cut.load(std::memory_order_relaxed);
  std::string command;
  for (absl::Status s :
       {Text(header_.command, &command), Text(header_.executable, &process_.executable),
        Text(header_.working_dir, &process_.working_dir),
        Text(header_.python_text, &process_.python_text),
        Text(header_.unwind_method, &process_.unwind_method)}) {
    if (!s.ok()) return s;
  }
  if (!command.empty() && command.back() == '\0') command.pop_back();
  if (!command.empty()) {
    process_.command = absl::StrSplit(command, absl::MaxSplits('\0', kMostArguments));
  }
  return absl::OkStatus();
}

absl::Status Decoder::ReadModuleList() {
  absl::StatusOr<std::vector<Module>> modules = ReadModules(region_);
  if (!modules.ok()) return modules.status();
  modules_ = *std::move(modules);
  std::copy_if(modules_.begin(), modules_.end(), std::back_inserter(process_.modules),
               [](const Module& module) { return !module.path.empty(); });
  return absl::OkStatus();
}

absl::Status Decoder::ReadThreads() {
  const SectionView section(region_, kThreads);
  const uint64_t count = section.Count();
  if (count > kMaxThreads) return Damaged(absl::StrFormat("%d thread slots", count));
  thread_index_.assign(count, 0);
  for (uint64_t slot = 0; slot < count; ++slot) {
    const ThreadRecord* record = section.InPlace<ThreadRecord>(slot);
    if (record == nullptr) return Damaged("the list of threads runs out of the file");
    const auto state = static_cast<ThreadState>(record->state.load(std::memory_order_acquire));
    if (state == ThreadState::kFree) continue;
    if (state == ThreadState::kInherited) continue;  // the parent's blocks: no thread of ours
    Thread thread;
    thread.tid = record->tid;
    thread.users = record->users;
    thread.ended = state == ThreadState::kEnded;
    thread.name = ValidUtf8(std::string(record->name, strnlen(record->name, sizeof(record->name))));
    thread_index_[slot] = static_cast<uint32_t>(process_.threads.size());
    process_.threads.push_back(std::move(thread));
  }
  if (process_.threads.empty()) process_.threads.push_back(Thread());
  return absl::OkStatus();
}

void Decoder::ReadLosses() {
  for (uint32_t i = 0; i < kLossSlots; ++i) {
    LossCount loss;
    loss.reason = LossName(i);
    loss.events = header_.lost[i].events.load(std::memory_order_relaxed);
    loss.bytes = header_.lost[i].bytes.load(std::memory_order_relaxed);
    if (loss.events != 0) process_.losses.push_back(std::move(loss));
  }
}

void Decoder::ReadTimeline() {
  std::vector<TimelinePoint> points;
  for (int attempt = 0; attempt < 8; ++attempt) {
    const uint64_t before = header_.timeline.seq.load(std::memory_order_acquire);
    points.resize(std::min(header_.timeline.count, kTimelinePoints));
    const uint64_t bytes = points.size() * sizeof(TimelinePoint);
    const std::byte* source = region_.At(kHeaderBytes, bytes);
    if (source == nullptr) return;
    if (bytes > 0) std::memcpy(points.data(), source, bytes);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (before % 2 == 0 && header_.timeline.seq.load(std::memory_order_relaxed) == before) break;
  }
  for (const TimelinePoint& point : points) {
    TimelineBucket bucket;
    bucket.elapsed_ns = Nanos(point.elapsed_ns);
    bucket.live_bytes_min = point.live_bytes_min;
    bucket.live_bytes_max = point.live_bytes_max;
    // A killed writer may have left a point half rewritten.
    if (!process_.timeline.empty() && bucket.elapsed_ns < process_.timeline.back().elapsed_ns)
      break;
    process_.timeline.push_back(bucket);
  }
}

// How the process ended, how long it ran, and when it held most.
void Decoder::ReadTimes(const Figures& figures) {
  const bool ended = header_.end.load() == static_cast<uint32_t>(ProcessEnd::kExited);
  process_.end = options_.end;
  if (process_.end == EndKind::kUnknown)
    process_.end = ended ? EndKind::kExited : EndKind::kRunning;
  const int64_t start = Nanos(header_.start_boot_ns);
  int64_t end = start;
  if (ended) {
    end = Nanos(header_.end_boot_ns.load());
  } else if (process_.end == EndKind::kRunning) {
    end = BootNanos();
  } else if (!process_.timeline.empty()) {
    end = start + process_.timeline.back().elapsed_ns;  // the last sign of life
  }
  process_.duration_ns = std::max<int64_t>(0, end - start);
  const int64_t peak_at = Nanos(header_.peak_boot_ns.load());
  if (figures.at_peak) {
    process_.peak_elapsed_ns = process_.duration_ns;
  } else if (peak_at >= start) {
    process_.peak_elapsed_ns = peak_at - start;
  } else if (!process_.timeline.empty()) {
    // The library looks at the clock now and then only: the bucket that went highest.
    const auto highest = std::max_element(
        process_.timeline.begin(), process_.timeline.end(),
        [](const auto& a, const auto& b) { return a.live_bytes_max < b.live_bytes_max; });
    process_.peak_elapsed_ns = highest->elapsed_ns;
  }
}

absl::Status Decoder::AddSamples(const Figures& figures) {
  StackDecoder stacks(region_, modules_, options_.symbolizer, &profile_);
  StackMerger merger(region_, &stacks, &profile_);
  LabelReader labels(region_, &stacks, &profile_);
  const bool native = (process_.flags & kFlagNativeStacks) != 0;
  for (const SiteFigures& site : figures.sites) {
    Sample sample;
    if (native) {
      const absl::StatusOr<StackMerger::Stack> stack = merger.Merge(site.node, site.caller);
      if (!stack.ok()) return stack.status();
      sample.node = stack->node;
      sample.caller = stack->caller;
    } else {
      const absl::StatusOr<NodeId> node = stacks.Node(site.node);
      if (!node.ok()) return node.status();
      const absl::StatusOr<FrameId> caller = stacks.Frame(site.caller);
      if (!caller.ok()) return caller.status();
      sample.node = *node;
      sample.caller = *caller;
    }
    const absl::StatusOr<StringId> label = labels.Of(site.node);
    if (!label.ok()) return label.status();
    sample.label = *label;
    if (site.slot >= thread_index_.size()) {
      return Damaged(
          absl::StrFormat("a site of thread slot %d of %d", site.slot, thread_index_.size()));
    }
    sample.domain = site.domain;
    sample.thread = static_cast<uint16_t>(thread_index_[site.slot]);
    sample.values = site.values;
    profile_.AddSample(sample);
  }
  if (merger.cut() || stacks.cut()) process_.flags |= kFlagStacksTruncated;
  return absl::OkStatus();
}

absl::StatusOr<Profile> Decoder::Decode() {
  // Figures first: what they refer to was published before them, so it is there when read later.
  const int64_t taken = RealNanos();
  absl::StatusOr<Figures> figures = ReadFigures(region_);
  if (!figures.ok()) return figures.status();
  for (auto step : {&Decoder::ReadIdentity, &Decoder::ReadModuleList, &Decoder::ReadThreads}) {
    if (absl::Status s = (this->*step)(); !s.ok()) return s;
  }
  ReadLosses();
  ReadTimeline();
  ReadTimes(*figures);
  process_.peak_bytes = figures->peak_bytes;
  process_.peak_bound = figures->peak_bound;
  process_.inherited_bytes = figures->inherited_bytes;
  if (absl::Status s = AddSamples(*figures); !s.ok()) return s;
  if (absl::Status s = region_.Check(); !s.ok()) return s;
  profile_.taken_realtime_ns = taken;
  profile_.processes.push_back(std::move(process_));
  return std::move(profile_);
}

}  // namespace

absl::StatusOr<Profile> DecodeRegion(const RegionFile& region, const DecodeOptions& options) {
  absl::StatusOr<Profile> profile = Decoder(region, options).Decode();
  // A page that vanished reads as zeros, which may look like damage: say what really happened.
  if (absl::Status s = region.Check(); !s.ok()) return s;
  return profile;
}

std::string LossName(uint32_t reason) {
  switch (static_cast<Loss>(reason)) {
    case Loss::kRegionFull:
      return "region_full";
    case Loss::kThreadSlots:
      return "thread_slots";
    case Loss::kReentrant:
      return "reentrant";
    case Loss::kLiveTable:
      return "live_table";
    case Loss::kSiteIds:
      return "site_ids";
    case Loss::kForkedChild:
      return "forked_child";
    default:
      return absl::StrFormat("other_%d", reason);
  }
}

std::string PythonVersionText(uint32_t hex) {
  if (hex == 0) return "";
  std::string text = absl::StrFormat("%d.%d.%d", hex >> 24, hex >> 16 & 0xff, hex >> 8 & 0xff);
  const uint32_t level = hex >> 4 & 0xf;
  const uint32_t serial = hex & 0xf;
  if (level == 0xa) text += absl::StrFormat("a%d", serial);
  if (level == 0xb) text += absl::StrFormat("b%d", serial);
  if (level == 0xc) text += absl::StrFormat("rc%d", serial);
  return text;
}

}  // namespace memtrace
