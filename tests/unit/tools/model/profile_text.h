// A profile as text that shows everything it holds, so that two can be compared and a difference
// read. Ids do not appear: only what they stand for.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_MODEL_PROFILE_TEXT_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_MODEL_PROFILE_TEXT_H_

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/model/profile.h"

namespace memtrace {

inline std::string FrameText(const Profile& p, FrameId id) {
  const Frame& f = p.frame(id);
  const Function& fn = p.function(f.function);
  return absl::CHexEscape(absl::StrCat("[", static_cast<int>(f.kind), " ", p.string(fn.name), " ",
                                       p.string(fn.filename), " ", fn.start_line, " ", f.line, " ",
                                       p.string(f.module), " ", f.address, "]"));
}

inline std::string SampleText(const Profile& p, const Sample& s) {
  std::string text = absl::StrCat(s.process, ".", s.thread, " ", static_cast<int>(s.domain), " ");
  if (s.label != 0) absl::StrAppend(&text, "in ", p.string(s.label), " ");
  if (s.caller != 0) absl::StrAppend(&text, "caller ", FrameText(p, s.caller), " ");
  for (FrameId frame : p.Stack(s.node)) absl::StrAppend(&text, FrameText(p, frame));
  const Values& v = s.values;
  return absl::StrCat(
      text, " = ",
      absl::StrJoin({v.alloc_objects, v.alloc_bytes, v.inuse_objects, v.inuse_bytes, v.peak_objects,
                     v.peak_bytes, v.temporary_objects, v.temporary_bytes},
                    " "),
      "\n");
}

inline std::string ProcessText(const Process& p) {
  std::string text = absl::StrCat(p.pid, " ", p.parent_pid, " ", absl::StrJoin(p.command, "|"), " ",
                                  p.executable, " ", p.working_dir, " ", p.python, " ");
  absl::StrAppend(&text, p.python_text, " ", p.start_realtime_ns, " ", p.duration_ns, " ",
                  static_cast<int>(p.end), " ", p.end_status, " ");
  absl::StrAppend(&text, p.peak_bytes, " ", p.peak_bound, " ", p.peak_elapsed_ns, " ",
                  p.stack_depth, " ", p.flags, " ", p.inherited_bytes, " ", p.unwind_method, " ",
                  p.stacks_checked, " ", p.stacks_different, " ", p.stacks_cut, "\n");
  if (p.is_group()) absl::StrAppend(&text, " group of ", p.group_size, "\n");
  if (p.is_member()) absl::StrAppend(&text, " added to ", p.added_to - 1, "\n");
  for (const DomainFigures& f : p.figures) {
    absl::StrAppend(&text, " ", DomainName(f.domain), " ", f.values.alloc_objects, " ",
                    f.values.alloc_bytes, " ", f.values.inuse_objects, " ", f.values.inuse_bytes,
                    " ", f.values.peak_objects, " ", f.values.peak_bytes, " ",
                    f.values.temporary_objects, " ", f.values.temporary_bytes, "\n");
  }
  for (const Thread& t : p.threads) {
    absl::StrAppend(&text, " thread ", t.tid, " ", t.name, " ", t.users, " ", t.ended, "\n");
  }
  for (const LossCount& l : p.losses) {
    absl::StrAppend(&text, " lost ", l.reason, " ", l.events, " ", l.bytes, "\n");
  }
  for (const TimelineBucket& b : p.timeline) {
    absl::StrAppend(&text, " at ", b.elapsed_ns, " ", b.live_bytes_min, " ", b.live_bytes_max, " ",
                    b.rss_bytes, "\n");
  }
  for (const Ledger& l : p.ledgers) {
    absl::StrAppend(&text, " ledger ", l.taken_realtime_ns, " ", l.rss_bytes, " ", l.live_bytes,
                    " ", l.why, " ", l.arenas, " ", l.pinned_arenas, " ", l.pinned_free_bytes,
                    "\n");
    for (const LedgerPart& part : l.parts) {
      absl::StrAppend(&text, "  ", LedgerKindName(part.kind), " ", part.bytes, "\n");
      for (const LedgerItem& i : part.items) absl::StrAppend(&text, "   ", i.name, i.bytes, "\n");
    }
    for (const ArenaPin& pin : l.pins) {
      absl::StrAppend(&text, "  ", pin.place, " ", pin.arenas, " ", pin.bytes, "\n");
    }
  }
  for (const Module& m : p.modules) {
    absl::StrAppend(&text, " module ", m.path, " ", m.build_id, " ", m.start, " ", m.end, " ",
                    m.bias, " ", m.generation, "\n");
  }
  return text;
}

inline std::string ProfileText(const Profile& p) {
  std::string text = absl::StrCat(p.tool_version, " ", p.taken_realtime_ns, "\n");
  for (const Process& process : p.processes) absl::StrAppend(&text, ProcessText(process));
  for (const Sample& sample : p.samples()) absl::StrAppend(&text, SampleText(p, sample));
  for (const SourceLine& l : p.source_lines) {
    absl::StrAppend(&text, p.string(l.filename), ":", l.line, " ", l.text, "\n");
  }
  return text;
}

}  // namespace memtrace

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_MODEL_PROFILE_TEXT_H_
