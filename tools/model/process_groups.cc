#include "tools/model/process_groups.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/model/aggregate.h"
#include "tools/model/file_names.h"

namespace memtrace {
namespace {

// The part of a command line that says which program it is.
std::vector<std::string> ProgramPart(const Process& process) {
  const std::vector<std::string>& command = process.command;
  if (command.empty()) return {};
  if (process.python.empty()) return {command[0]};
  const std::string script = ScriptOf(command);
  for (size_t i = 1; i < command.size(); ++i) {
    const bool module = command[i] == "-m" && i + 1 < command.size();
    if (!module && command[i] != "-c" && (script.empty() || command[i] != script)) continue;
    return {command.begin(), command.begin() + static_cast<std::ptrdiff_t>(i + (module ? 2 : 1))};
  }
  return {command[0]};
}

Process GroupFor(const Process& process) {
  Process group;
  group.command = ProgramPart(process);
  group.executable = process.executable;
  group.working_dir = process.working_dir;
  group.python = process.python;
  group.python_text = process.python_text;
  group.start_realtime_ns = process.start_realtime_ns;
  group.stack_depth = process.stack_depth;
  group.parent_pid = process.parent_pid;
  return group;
}

std::string KeyOf(const Process& group) {
  return absl::StrCat(absl::StrJoin(group.command, "\n"), "\n\n", group.executable, "\n",
                      group.working_dir, "\n", group.python, "\n", group.stack_depth);
}

void AddLosses(const std::vector<LossCount>& losses, Process* group) {
  for (const LossCount& loss : losses) {
    auto at = std::find_if(group->losses.begin(), group->losses.end(),
                           [&](const LossCount& l) { return l.reason == loss.reason; });
    if (at == group->losses.end()) at = group->losses.insert(at, {loss.reason, 0, 0});
    at->events += loss.events;
    at->bytes += loss.bytes;
  }
}

void AddFigures(const Process& process, Process* group) {
  group->group_size++;
  group->peak_bytes += process.peak_bytes;
  group->peak_bound += process.peak_bound;
  group->inherited_bytes += process.inherited_bytes;
  group->flags |= process.flags;
  if (group->unwind_method.empty()) group->unwind_method = process.unwind_method;
  group->stacks_checked += process.stacks_checked;
  group->stacks_different += process.stacks_different;
  group->stacks_cut += process.stacks_cut;
  group->start_realtime_ns = std::min(group->start_realtime_ns, process.start_realtime_ns);
  if (group->parent_pid != process.parent_pid) group->parent_pid = 0;
  AddLosses(process.losses, group);
}

// The process without what only its own lines need.
Process MemberOf(const Profile& one, uint32_t group) {
  Process member = one.processes.front();
  member.added_to = group + 1;
  member.timeline.clear();
  member.threads.clear();
  member.modules.clear();
  member.ledgers.clear();
  Values by_domain[kDomainCount];
  for (const Sample& sample : one.samples()) {
    by_domain[static_cast<size_t>(sample.domain)] += sample.values;
  }
  for (size_t i = 0; i < kDomainCount; ++i) {
    if (by_domain[i].IsZero()) continue;
    member.figures.push_back({static_cast<Domain>(i), by_domain[i]});
  }
  return member;
}

}  // namespace

uint32_t ProcessGroups::GroupOf(const Process& process) {
  Process group = GroupFor(process);
  if (groups_.size() >= kMostGroups) group.working_dir.clear();
  if (groups_.size() >= 2 * kMostGroups) {
    group = Process();
    group.command = {"(other programs)"};
  }
  const auto [it, fresh] =
      groups_.try_emplace(KeyOf(group), static_cast<uint32_t>(profile_.processes.size()));
  if (fresh) profile_.processes.push_back(std::move(group));
  return it->second;
}

void ProcessGroups::Add(const Profile& one) {
  if (one.processes.empty()) return;
  const Process& process = one.processes.front();
  const uint32_t index = GroupOf(process);
  profile_.AddUp(one, index);
  Process& group = profile_.processes[index];
  AddFigures(process, &group);
  if (group.modules.empty()) group.modules = process.modules;
  profile_.taken_realtime_ns = std::max(profile_.taken_realtime_ns, one.taken_realtime_ns);
  profile_.tool_version = one.tool_version;
  if (members_ == kMostMembers) return;
  ++members_;
  profile_.processes.push_back(MemberOf(one, index));
}

uint32_t CountProcesses(const Profile& profile) {
  uint32_t count = 0;
  for (const Process& process : profile.processes) {
    if (!process.is_member()) count += std::max(process.group_size, 1u);
  }
  return count;
}

std::string GroupText(const Process& group) {
  return absl::StrCat(CommandText(group), ", ", group.group_size,
                      group.group_size == 1 ? " process" : " processes");
}

}  // namespace memtrace
