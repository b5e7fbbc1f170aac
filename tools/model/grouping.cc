#include "tools/model/grouping.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/model/native_code.h"
#include "tools/model/places.h"
#include "tools/model/process_groups.h"

namespace memtrace {
namespace {

constexpr uint32_t kNoRow = UINT32_MAX;

// "load" means what is labelled "load/parse", too.
bool MatchesLabel(const std::string& pattern, const std::string& label) {
  for (size_t end = label.find('/'); end != std::string::npos; end = label.find('/', end + 1)) {
    if (fnmatch(pattern.c_str(), label.substr(0, end).c_str(), FNM_NOESCAPE) == 0) return true;
  }
  return fnmatch(pattern.c_str(), label.c_str(), FNM_NOESCAPE) == 0;
}

constexpr char kNoLabel[] = "(no label)";

std::string ThreadLabel(const Thread& thread) {
  const std::string name = thread.name.empty() ? "(unnamed)" : thread.name;
  return thread.users > 1 ? absl::StrFormat("%s (%d threads)", name, thread.users)
                          : absl::StrFormat("%s (tid %d)", name, thread.tid);
}

}  // namespace

// One profile's way through a Grouping.
class Walker {
 public:
  Walker(const Profile& profile, Grouping* grouping, Grouping::Column column)
      : profile_(profile),
        grouping_(grouping),
        view_(grouping->view_),
        column_(column),
        places_(profile, view_) {
    for (Domain domain : view_.domains) selected_ |= DomainBit(domain);
    if (selected_ == 0) {
      selected_ = whole_ = ~kAddressSpaceDomains;
      shown_ = view_.by == GroupBy::kDomain ? ~0u : selected_;
      return;
    }
    shown_ = selected_;
    if ((selected_ & kAddressSpaceDomains) != 0) whole_ |= kAddressSpaceDomains;
    if ((selected_ & ~kAddressSpaceDomains) != 0) whole_ |= ~kAddressSpaceDomains;
  }

  // What a member of a group contributed, which is in the group's samples, too, unless only the
  // member is wanted.
  void AddMember(uint32_t index, bool with_group) {
    const Process& member = profile_.processes[index];
    for (const DomainFigures& figures : member.figures) {
      Sample sample;
      sample.domain = figures.domain;
      sample.values = figures.values;
      if (!with_group) AddToWhole(sample);
      if (!IsShown(sample.domain)) continue;
      if (!with_group) AddToSelected(sample);
      grouping_->AddTo(RowOfProcess(index), sample, column_);
      if (with_group) grouping_->Take(RowOfProcess(member.added_to - 1), sample.values, column_);
    }
  }

  // Once all samples are in. Rows of stacks get their frames now, if they have any figure to show:
  // most of a program's stacks are of memory that is gone, and a stack has a hundred frames.
  void Finish() {
    for (const auto& [stack, row] : row_of_stack_) {
      Row& filled = grouping_->rows_[row];
      if (filled.domains == 0 || !filled.frames.empty()) continue;
      EachPlaceOf(stack, [&](const StackPlace& place) { filled.frames.push_back(place.place); });
      filled.frames.shrink_to_fit();
    }
  }

  void Add(const Sample& sample) {
    AddToWhole(sample);
    if (!IsShown(sample.domain)) return;
    const FrameId frame = places_.FrameOf(sample);
    if (!places_.PassesFiles(sample.process, frame) || !PassesLabels(sample.label)) return;
    AddToSelected(sample);
    switch (view_.by) {
      case GroupBy::kLine:
      case GroupBy::kFile:
      case GroupBy::kFunction:
        return view_.cumulative
                   ? AddWithCallers(sample, frame)
                   : grouping_->AddTo(RowOfFrame(sample.process, frame), sample, column_);
      case GroupBy::kTraceback:
        return grouping_->AddTo(RowOfStack(sample, frame), sample, column_);
      case GroupBy::kDomain:
        return AddLabelled(sample, DomainLabel(sample.domain), DomainLabel(sample.domain));
      case GroupBy::kThread:
        return AddThread(sample);
      case GroupBy::kProcess:
        return AddProcess(sample);
      case GroupBy::kModule:
        return grouping_->AddTo(RowOfModule(sample.process, places_.ModuleFrameOf(sample)), sample,
                                column_);
      case GroupBy::kLabel:
        return AddLabelled(sample, absl::StrCat("label:", profile_.string(sample.label)),
                           LabelText(sample.label));
    }
  }

 private:
  bool IsShown(Domain domain) const { return (shown_ & DomainBit(domain)) != 0; }
  void AddToWhole(const Sample& sample) {
    if ((whole_ & DomainBit(sample.domain)) != 0) grouping_->whole_[column_] += sample.values;
  }
  void AddToSelected(const Sample& sample) {
    if ((selected_ & DomainBit(sample.domain)) != 0) grouping_->selected_[column_] += sample.values;
  }

  using Key = Places::Key;

  static std::string DomainLabel(Domain domain) {
    return domain == Domain::kNone ? "(no domain)" : std::string(DomainName(domain));
  }

  uint32_t RowOfFrame(uint32_t process, FrameId frame) {
    auto [it, fresh] = row_of_frame_.try_emplace(Key(process, frame), kNoRow);
    if (!fresh) return it->second;
    uint32_t row;
    if (frame == 0) {
      row = RowWithoutFrame();
    } else {
      Place place = places_.PlaceOf(process, frame);
      std::string key = KeyOfPlace(&place, view_.by);
      row =
          grouping_->RowFor(std::move(key), {std::make_shared<const Place>(std::move(place))}, "");
    }
    row_of_frame_[Key(process, frame)] = row;
    return row;
  }

  uint32_t RowOfModule(uint32_t process, FrameId id) {
    auto [it, fresh] = row_of_frame_.try_emplace(Key(process, id), kNoRow);
    if (!fresh) return it->second;
    const bool python =
        process < profile_.processes.size() && !profile_.processes[process].python.empty();
    const StringId module = profile_.frame(id).module;
    uint32_t row;
    if (python && (id == 0 || IsInterpreterModule(profile_.string(module)))) {
      row = grouping_->RowFor("module:(Python)", {}, "(Python)");
    } else if (module == 0) {
      row = grouping_->RowFor("module:(unknown module)", {}, "(unknown module)");
    } else {
      Place place = places_.PlaceOfModule(process, module);
      std::string key = absl::StrCat("module:", place.file.key);
      row =
          grouping_->RowFor(std::move(key), {std::make_shared<const Place>(std::move(place))}, "");
    }
    row_of_frame_[Key(process, id)] = row;
    return row;
  }

  uint32_t RowWithoutFrame() {
    const std::string label = view_.own ? "(no own line)" : "(no Python frame)";
    return grouping_->RowFor(absl::StrCat("none:", label), {}, label);
  }

  // Each place of the stack once, however often it recurs.
  void AddWithCallers(const Sample& sample, FrameId innermost) {
    touched_.clear();
    touched_.push_back(RowOfFrame(sample.process, innermost));
    for (NodeId n = sample.node; n != 0; n = profile_.node(n).parent) {
      const FrameId frame = profile_.node(n).frame;
      if (places_.Counts(sample.process, frame))
        touched_.push_back(RowOfFrame(sample.process, frame));
    }
    std::sort(touched_.begin(), touched_.end());
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
    for (uint32_t row : touched_) grouping_->AddTo(row, sample, column_);
  }

  struct StackPlace {
    PlaceRef place;
    uint32_t number = 0;  // equal for equal places, over both profiles
  };

  const StackPlace& PlaceInStack(uint32_t process, FrameId frame) {
    StackPlace& known = stack_places_[Key(process, frame)];
    if (known.place != nullptr) return known;
    Place place = places_.PlaceOf(process, frame);
    auto [number, unused] =
        grouping_->place_ids_.try_emplace(KeyOfPlace(&place, GroupBy::kTraceback),
                                          static_cast<uint32_t>(grouping_->place_ids_.size()));
    known = {std::make_shared<const Place>(std::move(place)), number->second};
    return known;
  }

  // Innermost first: the stack of a node, with `own` as much of it as counts.
  template <typename F>
  void EachPlaceOf(Key stack, const F& visit) {
    const auto [process, node] = stack;
    for (NodeId n = node; n != 0; n = profile_.node(n).parent) {
      const FrameId id = profile_.node(n).frame;
      if (!view_.own || places_.Counts(process, id)) visit(PlaceInStack(process, id));
    }
  }

  uint32_t RowOfStack(const Sample& sample, FrameId frame) {
    // Without a frame in the stack that counts, the native caller is all of it.
    const bool from_caller = frame != 0 && frame == sample.caller;
    if (frame == 0 || from_caller) return RowOfFrame(sample.process, frame);
    auto [it, fresh] = row_of_stack_.try_emplace(Key(sample.process, sample.node), kNoRow);
    if (!fresh) return it->second;
    numbers_.clear();
    EachPlaceOf(it->first, [&](const StackPlace& place) { numbers_.push_back(place.number); });
    it->second =
        grouping_->RowFor(absl::StrCat("stack:", grouping_->NumberOfStack(numbers_)), {}, "");
    return it->second;
  }

  std::string LabelText(StringId label) const {
    return label == 0 ? kNoLabel : profile_.string(label);
  }

  bool PassesLabels(StringId label) {
    if (view_.labels.empty()) return true;
    auto [it, fresh] = passes_labels_.try_emplace(label, false);
    if (fresh) {
      const std::string text = LabelText(label);
      it->second = std::any_of(view_.labels.begin(), view_.labels.end(),
                               [&](const auto& pattern) { return MatchesLabel(pattern, text); });
    }
    return it->second;
  }

  void AddLabelled(const Sample& sample, std::string key, std::string label) {
    grouping_->AddTo(grouping_->RowFor(std::move(key), {}, std::move(label)), sample, column_);
  }

  // Thread ids differ from run to run, and most threads have the same name: matched are the slots,
  // which are given out in the order of first allocation.
  void AddThread(const Sample& sample) {
    Thread thread;
    if (sample.process < profile_.processes.size()) {
      const Process& process = profile_.processes[sample.process];
      if (sample.thread < process.threads.size()) thread = process.threads[sample.thread];
    }
    AddLabelled(sample,
                absl::StrCat("thread:", sample.process, ":", sample.thread, ":", thread.name),
                ThreadLabel(thread));
  }

  void AddProcess(const Sample& sample) {
    grouping_->AddTo(RowOfProcess(sample.process), sample, column_);
  }

  // Pids differ from run to run: matched are processes of the same command, in their order.
  uint32_t RowOfProcess(uint32_t index) {
    if (index >= rows_of_processes_.size()) rows_of_processes_.resize(index + 1, kNoRow);
    uint32_t& row = rows_of_processes_[index];
    if (row != kNoRow) return row;
    const bool known = index < profile_.processes.size();
    const Process process = known ? profile_.processes[index] : Process();
    const std::string command =
        process.is_group() ? "group:" + CommandText(process) : CommandText(process);
    row = grouping_->RowFor(
        absl::StrCat("process:", command, ":", same_command_[command]++), {},
        process.is_group() ? GroupText(process) : absl::StrFormat("%d %s", process.pid, command));
    return row;
  }

  const Profile& profile_;
  Grouping* grouping_;
  const View& view_;
  const Grouping::Column column_;
  Places places_;
  // Bits of domains: with rows, in the rows' sum, in what shares are of.
  uint32_t shown_ = 0;
  uint32_t selected_ = 0;
  uint32_t whole_ = 0;
  std::vector<uint32_t> numbers_;  // kept for its memory
  absl::flat_hash_map<StringId, bool> passes_labels_;
  absl::flat_hash_map<Key, uint32_t> row_of_frame_;
  absl::flat_hash_map<Key, uint32_t> row_of_stack_;
  absl::flat_hash_map<Key, StackPlace> stack_places_;
  std::vector<uint32_t> touched_;
  std::vector<uint32_t> rows_of_processes_;
  absl::flat_hash_map<std::string, uint32_t> same_command_;  // how many had it so far
};

// Members of groups have no lines of their own: only a table by process, of all files, has them.
bool HasMembers(const View& view) {
  return view.by == GroupBy::kProcess && view.include.empty() && view.exclude.empty() &&
         view.labels.empty();
}

absl::Status CheckMembers(const Profile& profile, const View& view,
                          const std::vector<uint32_t>& picked) {
  if (picked.empty() || HasMembers(view)) return absl::OkStatus();
  for (uint32_t i : picked) {
    if (!profile.processes[i].is_member()) return absl::OkStatus();
  }
  const Process& member = profile.processes[picked[0]];
  const Process& group = profile.processes[member.added_to - 1];
  return absl::NotFoundError(absl::StrFormat(
      "the lines of process %d were added up with those of its program (%s): name the program "
      "instead of the process, or add --by process for its figures",
      member.pid, GroupText(group)));
}

absl::Status Grouping::Add(const Profile& profile, Column column) {
  absl::StatusOr<std::vector<uint32_t>> picked = PickProcesses(profile, view_.process);
  if (!picked.ok()) return picked.status();
  if (absl::Status s = CheckMembers(profile, view_, *picked); !s.ok()) return s;
  AddProcesses(profile, *picked, column);
  return absl::OkStatus();
}

void Grouping::AddProcesses(const Profile& profile, const std::vector<uint32_t>& picked,
                            Column column) {
  std::vector<bool> wanted(std::max<size_t>(profile.processes.size(), 1), false);
  for (uint32_t process : picked) wanted[process] = true;
  if (profile.processes.empty()) wanted[0] = true;
  Walker walker(profile, this, column);
  for (const Sample& sample : profile.samples()) {
    if (sample.process < wanted.size() && wanted[sample.process]) walker.Add(sample);
  }
  walker.Finish();
  if (!HasMembers(view_)) return;
  for (uint32_t i : picked) {
    const Process& process = profile.processes[i];
    if (process.is_member()) walker.AddMember(i, wanted[process.added_to - 1]);
  }
}

std::vector<Values> Grouping::TakeColumn() {
  std::vector<Values> column;
  column.reserve(rows_.size());
  for (Row& row : rows_) column.push_back(std::exchange(row.values, Values()));
  return column;
}

Values Grouping::TakeSelected() { return std::exchange(selected_[kNew], Values()); }

// A stack is its callers' number and its innermost place: programs have hundreds of thousands of
// stacks of a hundred frames, which would be long keys.
uint32_t Grouping::NumberOfStack(const std::vector<uint32_t>& places) {
  uint32_t number = 0;
  for (size_t i = places.size(); i-- > 0;) {
    const uint64_t key = static_cast<uint64_t>(number) << 32 | places[i];
    number =
        stack_ids_.try_emplace(key, static_cast<uint32_t>(stack_ids_.size() + 1)).first->second;
  }
  return number;
}

uint32_t Grouping::RowFor(std::string key, std::vector<PlaceRef> frames, std::string label) {
  auto [it, fresh] = row_ids_.try_emplace(key, static_cast<uint32_t>(rows_.size()));
  if (fresh) {
    Row& row = rows_.emplace_back();
    row.key = std::move(key);
    row.frames = std::move(frames);
    row.label = std::move(label);
  }
  return it->second;
}

void Grouping::AddTo(uint32_t id, const Sample& sample, Column column) {
  Row& row = rows_[id];
  (column == kNew ? row.values : row.old_values) += sample.values;
  const bool matters =
      SizeOf(sample.values, view_.metric) != 0 || CountOf(sample.values, view_.metric) != 0;
  if (matters) row.domains |= DomainBit(sample.domain);
}

void Grouping::Take(uint32_t id, const Values& values, Column column) {
  (column == kNew ? rows_[id].values : rows_[id].old_values) -= values;
}

void Grouping::MoveTo(Table* table) && {
  table->rows = std::move(rows_);
  table->selected = selected_[kNew];
  table->old_selected = selected_[kOld];
  table->whole = whole_[kNew];
  table->old_whole = whole_[kOld];
}

}  // namespace memtrace
