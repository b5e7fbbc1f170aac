#include "tools/render/words.h"

#include <string.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tools/model/process_groups.h"
#include "tools/render/terminal.h"
#include "tools/render/units.h"

namespace memtrace {
namespace {

const Process* MainProcess(const std::vector<const Process*>& processes,
                           const std::vector<int64_t>& allocations) {
  const Process* main = nullptr;
  int64_t most = -1;
  for (size_t i = 0; i < processes.size(); ++i) {
    if (!processes[i]->python.empty() && allocations[i] > 0) return processes[i];
    if (allocations[i] > most) {
      most = allocations[i];
      main = processes[i];
    }
  }
  return main;
}

std::string PythonText(const Process& process) {
  return process.python.empty() ? "" : absl::StrCat(" (CPython ", process.python, ")");
}

std::string SignalText(int number) {
  const char* name = sigabbrev_np(number);
  return name == nullptr ? absl::StrCat("signal ", number) : absl::StrCat("SIG", name);
}

std::string NativePlaceText(const Place& place, GroupBy by) {
  const absl::string_view module = BaseName(place.file.shown);
  if (by == GroupBy::kFile || by == GroupBy::kModule)
    return module.empty() ? "(unknown module)" : std::string(module);
  if (!place.function.empty()) {
    return absl::StrCat(module, module.empty() ? "" : "!", place.function);
  }
  return module.empty() ? absl::StrFormat("0x%x", place.address)
                        : absl::StrFormat("%s+0x%x", module, place.address);
}

// In a stack: "make (src/foo.cc:9)", "make [libfoo.so]", "0x1234 [libfoo.so]".
std::string NativeFrameText(const Place& place) {
  const std::string& function = place.function;
  if (place.line != 0) {
    const std::string line = absl::StrCat(place.file.shown, ":", place.line);
    return function.empty() ? line : absl::StrCat(function, " (", line, ")");
  }
  const absl::string_view module = BaseName(place.file.shown);
  return absl::StrCat(function.empty() ? absl::StrFormat("0x%x", place.address) : function,
                      module.empty() ? "" : absl::StrCat(" [", module, "]"));
}

struct ProcessTotals {
  Values memory, mapped, mapped_files;

  void Add(Domain domain, const Values& values) {
    (domain == Domain::kMmap       ? mapped
     : domain == Domain::kMmapFile ? mapped_files
                                   : memory) += values;
  }
};

// Figures of each process; a member of a group has its own beside the group's.
std::vector<ProcessTotals> TotalsByProcess(const Profile& profile) {
  std::vector<ProcessTotals> totals(profile.processes.size());
  for (const Sample& sample : profile.samples()) {
    if (sample.process < totals.size()) totals[sample.process].Add(sample.domain, sample.values);
  }
  for (size_t i = 0; i < totals.size(); ++i) {
    for (const DomainFigures& figures : profile.processes[i].figures) {
      totals[i].Add(figures.domain, figures.values);
    }
  }
  return totals;
}

}  // namespace

Overview Summarize(const Profile& profile, const std::string& pick) {
  Overview overview;
  absl::StatusOr<std::vector<uint32_t>> picked = PickProcesses(profile, pick);
  if (!picked.ok()) return overview;
  const std::vector<ProcessTotals> totals = TotalsByProcess(profile);
  std::vector<bool> wanted(profile.processes.size(), false);
  for (uint32_t i : *picked) wanted[i] = true;
  Values sum;
  std::vector<int64_t> allocations;
  std::map<std::string, LossCount> losses;
  for (uint32_t i : *picked) {
    const Process& process = profile.processes[i];
    overview.processes.push_back(&process);
    if (process.is_member() && wanted[process.added_to - 1]) continue;  // counted there
    overview.counted.push_back(&process);
    allocations.push_back(totals[i].memory.alloc_objects);
    sum += totals[i].memory;
    overview.mapped += totals[i].mapped;
    overview.mapped_files += totals[i].mapped_files;
    // Other programs' profiles have no measured peak; the samples are as good.
    overview.peak_bytes += std::max(process.peak_bytes, int64_t{0}) == 0
                               ? totals[i].memory.peak_bytes
                               : process.peak_bytes;
    overview.peak_bound += process.peak_bound;
    for (const LossCount& loss : process.losses) {
      LossCount& entry = losses[loss.reason];
      entry.reason = loss.reason;
      entry.events += loss.events;
      entry.bytes += loss.bytes;
      overview.lost += loss.events;
    }
  }
  overview.main = MainProcess(overview.counted, allocations);
  for (size_t i = 0; i < overview.counted.size(); ++i) {
    if (overview.counted[i] == overview.main || allocations[i] <= 0) continue;
    overview.others += std::max(overview.counted[i]->group_size, 1u);
  }
  overview.now_bytes = sum.inuse_bytes;
  overview.now_blocks = sum.inuse_objects;
  overview.alloc_bytes = sum.alloc_bytes;
  overview.alloc_blocks = sum.alloc_objects;
  overview.temporary_bytes = sum.temporary_bytes;
  overview.temporary_blocks = sum.temporary_objects;
  for (auto& [reason, loss] : losses) overview.losses.push_back(std::move(loss));
  return overview;
}

std::string EndText(const Process& process) {
  const std::string time = FormatDuration(process.duration_ns);
  switch (process.end) {
    case EndKind::kRunning:
      return absl::StrCat("running for ", time);
    case EndKind::kExited:
      return absl::StrCat("exited ", process.end_status, " after ", time);
    case EndKind::kSignaled:
      return absl::StrCat("killed by ", SignalText(process.end_status), " after ", time);
    case EndKind::kDied:
      return absl::StrCat("died (killed, or ended without a word) after ", time);
    case EndKind::kReplacedByExec:
      return absl::StrCat("replaced by another program (exec) after ", time);
    case EndKind::kUnknown:
      break;
  }
  return process.duration_ns > 0 ? absl::StrCat("for ", time) : "";
}

std::string ProcessText(const Overview& overview) {
  if (overview.main == nullptr) return "no process";
  const Process& process = *overview.main;
  std::string text =
      absl::StrCat(Printable(process.is_group() ? GroupText(process) : CommandText(process)),
                   Printable(PythonText(process)));
  const std::string end = EndText(process);
  if (!end.empty()) absl::StrAppend(&text, " ", end);
  if (overview.others > 0) {
    absl::StrAppend(&text, ", and ", overview.others, " other process",
                    overview.others == 1 ? "" : "es");
  }
  return text;
}

std::string PeakText(const Overview& overview) {
  std::string text = FormatSize(overview.peak_bytes);
  if (overview.peak_bound > 0) absl::StrAppend(&text, " ±", FormatSize(overview.peak_bound));
  return text;
}

std::string MappedText(const Overview& overview) {
  const auto text = [&](int64_t anonymous, int64_t files, const char* when) {
    std::vector<std::string> parts;
    if (anonymous > 0) parts.push_back(absl::StrCat(FormatSize(anonymous), " anonymous"));
    if (files > 0) parts.push_back(absl::StrCat(FormatSize(files), " of files"));
    return parts.empty() ? "" : absl::StrCat("mapped: ", absl::StrJoin(parts, ", "), when);
  };
  const std::string now = text(overview.mapped.inuse_bytes, overview.mapped_files.inuse_bytes, "");
  return !now.empty()
             ? now
             : text(overview.mapped.peak_bytes, overview.mapped_files.peak_bytes, " at the peak");
}

std::string LostText(const Overview& overview) {
  std::string text = absl::StrCat(FormatCount(static_cast<int64_t>(overview.lost)), " lost");
  if (overview.losses.empty()) return text;
  return absl::StrCat(text, " (",
                      absl::StrJoin(overview.losses, ", ",
                                    [](std::string* out, const LossCount& loss) {
                                      absl::StrAppend(
                                          out, Printable(loss.reason), " ",
                                          FormatCount(static_cast<int64_t>(loss.events)));
                                    }),
                      ")");
}

namespace {

std::string StacksText(uint64_t count) {
  return absl::StrCat(FormatCount(static_cast<int64_t>(std::min<uint64_t>(count, INT64_MAX))),
                      count == 1 ? " native stack" : " native stacks");
}

// How native stacks were taken, and how well that went.
void AddUnwindNotes(const Overview& overview, std::vector<std::string>* notes) {
  std::set<std::string> methods;
  uint64_t checked = 0, different = 0, cut = 0;
  for (const Process* process : overview.counted) {
    if (!process->unwind_method.empty()) methods.insert(process->unwind_method);
    checked += process->stacks_checked;
    different += process->stacks_different;
    cut += process->stacks_cut;
  }
  if (methods.empty()) return;
  std::string text = absl::StrCat("Native stacks: ", Printable(absl::StrJoin(methods, ", ")));
  if (checked > 0) {
    absl::StrAppend(&text, "; ", StacksText(checked), " compared with a full unwinding");
    absl::StrAppend(&text, different == 0
                               ? ", all the same"
                               : absl::StrCat(", ", FormatCount(static_cast<int64_t>(different)),
                                              " different"));
  }
  if (cut > 0) {
    absl::StrAppend(&text, "; ", StacksText(cut), cut == 1 ? " ends" : " end",
                    " before the outermost frame");
  }
  notes->push_back(absl::StrCat(text, "."));
}

}  // namespace

std::vector<std::string> Notes(const Overview& overview) {
  std::vector<std::string> notes;
  uint32_t flags = 0;
  int64_t inherited = 0;
  for (const Process* process : overview.counted) {
    flags |= process->flags;
    inherited += process->inherited_bytes;
  }
  if (flags & kFlagPythonOff) {
    notes.push_back("Python's frames could not be read: only native callers are known.");
  }
  if (flags & kFlagStacksTruncated) {
    notes.push_back("Some stacks are cut: the outer frames of deep ones are missing.");
  }
  if (flags & kFlagLabelsLost) {
    notes.push_back("Some labels are missing: too many functions had one at the same time.");
  }
  AddUnwindNotes(overview, &notes);
  if (flags & kFlagNamesCutShort) {
    notes.push_back(
        "Some native code has no source lines: the time to read debug information was up.");
  }
  if (inherited > 0) {
    notes.push_back(absl::StrCat(FormatSize(inherited),
                                 " were inherited through fork and are the parent's: not in the "
                                 "lines."));
  }
  if (overview.others > 0 || (overview.main != nullptr && overview.main->group_size > 1)) {
    notes.push_back("The peak is the sum of each process's own, which need not coincide.");
  }
  return notes;
}

std::string PlaceText(const Place& place, GroupBy by) {
  const bool native = place.kind == FrameKind::kNative;
  if (native && by == GroupBy::kTraceback) return Printable(NativeFrameText(place));
  if (native && place.line == 0) return Printable(NativePlaceText(place, by));
  const std::string file =
      place.file.shown.empty() ? "(unknown file)" : Printable(place.file.shown);
  if (by == GroupBy::kFile) return file;
  if (by == GroupBy::kFunction) {
    const std::string name = place.function.empty() ? "(unknown)" : Printable(place.function);
    return absl::StrCat(name, " (", file, ")");
  }
  return absl::StrCat(file, ":", place.line);
}

std::string RowText(const Row& row, GroupBy by) {
  if (!row.frames.empty()) return PlaceText(*row.frames[0], by);
  const bool mapped = by == GroupBy::kDomain && IsAddressSpace(DomainFromName(row.label));
  return absl::StrCat(Printable(row.label), mapped ? " (address space, not in the totals)" : "");
}

std::string DomainsText(uint32_t domains, const char* separator) {
  std::vector<absl::string_view> names;
  for (int i = 1; i < kDomainCount; ++i) {
    if (domains >> i & 1) names.push_back(DomainName(static_cast<Domain>(i)));
  }
  std::sort(names.begin(), names.end());
  return absl::StrJoin(names, separator);
}

std::string ViewText(const View& view) {
  constexpr const char* kWhen[] = {"now", "at peak", "all allocations", "temporary"};
  const char* when = kWhen[static_cast<int>(view.metric)];
  const char* what = "";
  switch (view.by) {
    case GroupBy::kLine:
      what = view.own ? "your own lines" : "line";
      break;
    case GroupBy::kFile:
      what = view.own ? "your own files" : "file";
      break;
    case GroupBy::kFunction:
      what = view.own ? "your own functions" : "function";
      break;
    case GroupBy::kTraceback:
      what = view.own ? "your own stacks" : "stack";
      break;
    default:
      what = NameOf(view.by);
  }
  return absl::StrCat(when, ", by ", what, view.cumulative ? ", with all they called" : "");
}

const char* NameOf(GroupBy by) {
  switch (by) {
    case GroupBy::kLine:
      return "lineno";
    case GroupBy::kFile:
      return "filename";
    case GroupBy::kFunction:
      return "function";
    case GroupBy::kTraceback:
      return "traceback";
    case GroupBy::kDomain:
      return "domain";
    case GroupBy::kThread:
      return "thread";
    case GroupBy::kProcess:
      return "process";
    case GroupBy::kModule:
      return "module";
    case GroupBy::kLabel:
      return "label";
  }
  return "";
}

const char* NameOf(Metric metric) {
  constexpr const char* kNames[] = {"now", "peak", "total", "temporary"};
  return kNames[static_cast<int>(metric)];
}

}  // namespace memtrace
