#include "tools/model/process_message.h"

#include <utility>
#include <vector>

#include "tools/model/snapshot_raw.h"

namespace memtrace {
namespace {

absl::Status Damaged(absl::string_view what) { return absl::InvalidArgumentError(what); }

void ToProto(const Thread& thread, pprof::Thread* out) {
  out->set_tid(thread.tid);
  out->set_name(thread.name);
  out->set_users(thread.users);
  out->set_ended(thread.ended);
}

void ToProto(const LossCount& loss, pprof::Loss* out) {
  out->set_reason(loss.reason);
  out->set_events(loss.events);
  out->set_bytes(loss.bytes);
}

void ToProto(const Module& module, pprof::Module* out) {
  out->set_path(module.path);
  out->set_build_id(module.build_id);
  out->set_start(module.start);
  out->set_end(module.end);
  out->set_bias(module.bias);
  out->set_generation(module.generation);
}

void ToProto(const std::vector<TimelineBucket>& timeline, pprof::Timeline* out) {
  for (const TimelineBucket& bucket : timeline) {
    out->add_elapsed_ns(bucket.elapsed_ns);
    out->add_live_bytes_min(bucket.live_bytes_min);
    out->add_live_bytes_max(bucket.live_bytes_max);
    out->add_rss_bytes(bucket.rss_bytes);
  }
}

void ToProto(const DomainFigures& figures, pprof::Figures* out) {
  const Values& v = figures.values;
  out->set_domain(static_cast<uint32_t>(figures.domain));
  out->set_alloc_objects(v.alloc_objects);
  out->set_alloc_bytes(v.alloc_bytes);
  out->set_inuse_objects(v.inuse_objects);
  out->set_inuse_bytes(v.inuse_bytes);
  out->set_peak_objects(v.peak_objects);
  out->set_peak_bytes(v.peak_bytes);
  out->set_temporary_objects(v.temporary_objects);
  out->set_temporary_bytes(v.temporary_bytes);
}

std::vector<TimelineBucket> FromProto(const pprof::Timeline& timeline) {
  std::vector<TimelineBucket> buckets(timeline.elapsed_ns_size());
  for (int i = 0; i < timeline.elapsed_ns_size(); ++i) {
    buckets[i] = {timeline.elapsed_ns(i), timeline.live_bytes_min(i), timeline.live_bytes_max(i),
                  timeline.rss_bytes(i)};
  }
  return buckets;
}

absl::StatusOr<DomainFigures> FromProto(const pprof::Figures& in) {
  for (int64_t value :
       {in.alloc_objects(), in.alloc_bytes(), in.inuse_objects(), in.inuse_bytes(),
        in.peak_objects(), in.peak_bytes(), in.temporary_objects(), in.temporary_bytes()}) {
    if (IsOutOfRange(value)) return Damaged("a figure of a process is out of range");
  }
  if (in.domain() >= kDomainCount) return Damaged("a process has figures of an unknown domain");
  return DomainFigures{
      static_cast<Domain>(in.domain()),
      {in.alloc_objects(), in.alloc_bytes(), in.inuse_objects(), in.inuse_bytes(),
       in.peak_objects(), in.peak_bytes(), in.temporary_objects(), in.temporary_bytes()}};
}

void ToProto(const Ledger& ledger, pprof::Ledger* out) {
  out->set_taken_realtime_ns(ledger.taken_realtime_ns);
  out->set_rss_bytes(ledger.rss_bytes);
  out->set_live_bytes(ledger.live_bytes);
  out->set_why(ledger.why);
  for (const LedgerPart& part : ledger.parts) {
    pprof::LedgerPart* out_part = out->add_part();
    out_part->set_kind(static_cast<uint32_t>(part.kind));
    out_part->set_bytes(part.bytes);
    for (const LedgerItem& item : part.items) {
      pprof::LedgerItem* out_item = out_part->add_item();
      out_item->set_name(item.name);
      out_item->set_bytes(item.bytes);
    }
  }
  out->set_arenas(ledger.arenas);
  out->set_pinned_arenas(ledger.pinned_arenas);
  out->set_pinned_free_bytes(ledger.pinned_free_bytes);
  for (const ArenaPin& pin : ledger.pins) {
    pprof::ArenaPin* out_pin = out->add_pin();
    out_pin->set_place(pin.place);
    out_pin->set_arenas(pin.arenas);
    out_pin->set_bytes(pin.bytes);
  }
}

absl::StatusOr<Ledger> FromProto(const pprof::Ledger& in) {
  Ledger out;
  out.taken_realtime_ns = in.taken_realtime_ns();
  out.rss_bytes = in.rss_bytes();
  out.live_bytes = in.live_bytes();
  out.why = in.why();
  for (const pprof::LedgerPart& p : in.part()) {
    // A later version's parts are not known here, and so not explained.
    LedgerPart part = {
        p.kind() < kLedgerKinds ? static_cast<LedgerKind>(p.kind()) : LedgerKind::kUnexplained,
        p.bytes(),
        {}};
    for (const pprof::LedgerItem& item : p.item())
      part.items.push_back({item.name(), item.bytes()});
    out.parts.push_back(std::move(part));
  }
  out.arenas = in.arenas();
  out.pinned_arenas = in.pinned_arenas();
  out.pinned_free_bytes = in.pinned_free_bytes();
  for (int64_t value : {out.arenas, out.pinned_arenas, out.pinned_free_bytes, out.live_bytes}) {
    if (value < 0 || IsOutOfRange(value)) return Damaged("a figure of a ledger is out of range");
  }
  for (const pprof::ArenaPin& pin : in.pin()) {
    if (pin.arenas() < 0 || pin.bytes() < 0) return Damaged("a figure of a ledger is out of range");
    out.pins.push_back({pin.place(), pin.arenas(), pin.bytes()});
  }
  JoinSameKinds(&out);
  if (!SumsUp(out)) return Damaged("the parts of a ledger are not what it says they sum to");
  return out;
}

}  // namespace

void ToProto(const Process& process, pprof::Process* out) {
  out->set_pid(process.pid);
  out->set_parent_pid(process.parent_pid);
  for (const std::string& argument : process.command) out->add_command(argument);
  out->set_executable(process.executable);
  out->set_working_dir(process.working_dir);
  out->set_python(process.python);
  out->set_python_text(process.python_text);
  out->set_start_realtime_ns(process.start_realtime_ns);
  out->set_duration_ns(process.duration_ns);
  out->set_end(static_cast<pprof::Process::End>(process.end));
  out->set_end_status(process.end_status);
  out->set_peak_bytes(process.peak_bytes);
  out->set_peak_bound(process.peak_bound);
  out->set_peak_elapsed_ns(process.peak_elapsed_ns);
  out->set_stack_depth(process.stack_depth);
  out->set_flags(process.flags);
  out->set_inherited_bytes(process.inherited_bytes);
  for (const Thread& thread : process.threads) ToProto(thread, out->add_thread());
  for (const LossCount& loss : process.losses) ToProto(loss, out->add_loss());
  if (!process.timeline.empty()) ToProto(process.timeline, out->mutable_timeline());
  for (const Module& module : process.modules) ToProto(module, out->add_module());
  out->set_group_size(process.group_size);
  out->set_added_to(process.added_to);
  for (const DomainFigures& figures : process.figures) ToProto(figures, out->add_figures());
  out->set_unwind_method(process.unwind_method);
  out->set_stacks_checked(process.stacks_checked);
  out->set_stacks_different(process.stacks_different);
  out->set_stacks_cut(process.stacks_cut);
  for (const Ledger& ledger : process.ledgers) ToProto(ledger, out->add_ledger());
}

absl::StatusOr<Process> FromProto(const pprof::Process& in) {
  if (IsOutOfRange(in.peak_bytes()) || IsOutOfRange(in.peak_bound()) ||
      IsOutOfRange(in.inherited_bytes())) {
    return Damaged("a figure of a process is out of range");
  }
  Process out;
  out.pid = in.pid();
  out.parent_pid = in.parent_pid();
  out.command.assign(in.command().begin(), in.command().end());
  out.executable = in.executable();
  out.working_dir = in.working_dir();
  out.python = in.python();
  out.python_text = in.python_text();
  out.start_realtime_ns = in.start_realtime_ns();
  out.duration_ns = in.duration_ns();
  // A way to end that a later version may know is one that this one does not.
  out.end =
      pprof::Process::End_IsValid(in.end()) ? static_cast<EndKind>(in.end()) : EndKind::kUnknown;
  out.end_status = in.end_status();
  out.peak_bytes = in.peak_bytes();
  out.peak_bound = in.peak_bound();
  out.peak_elapsed_ns = in.peak_elapsed_ns();
  out.stack_depth = in.stack_depth();
  out.flags = in.flags();
  out.inherited_bytes = in.inherited_bytes();
  out.unwind_method = in.unwind_method();
  out.stacks_checked = in.stacks_checked();
  out.stacks_different = in.stacks_different();
  out.stacks_cut = in.stacks_cut();
  for (const pprof::Thread& t : in.thread()) {
    out.threads.push_back({t.tid(), t.name(), t.users(), t.ended()});
  }
  for (const pprof::Loss& l : in.loss()) out.losses.push_back({l.reason(), l.events(), l.bytes()});
  const pprof::Timeline& t = in.timeline();
  if (t.live_bytes_min_size() != t.elapsed_ns_size() ||
      t.live_bytes_max_size() != t.elapsed_ns_size() || t.rss_bytes_size() != t.elapsed_ns_size()) {
    return Damaged("the columns of a timeline differ in length");
  }
  out.timeline = FromProto(t);
  out.group_size = in.group_size();
  out.added_to = in.added_to();
  for (const pprof::Figures& f : in.figures()) {
    absl::StatusOr<DomainFigures> figures = FromProto(f);
    if (!figures.ok()) return figures.status();
    out.figures.push_back(*figures);
  }
  for (const pprof::Ledger& l : in.ledger()) {
    absl::StatusOr<Ledger> ledger = FromProto(l);
    if (!ledger.ok()) return ledger.status();
    out.ledgers.push_back(*std::move(ledger));
  }
  for (const pprof::Module& m : in.module()) {
    out.modules.push_back({m.path(), m.build_id(), m.start(), m.end(), m.bias(), m.generation()});
  }
  return out;
}

bool HasItsGroup(const pprof::Process& process, const pprof::Extension& header) {
  const uint32_t added_to = process.added_to();
  if (added_to == 0) return true;
  if (added_to > static_cast<uint32_t>(header.process_size())) return false;
  const pprof::Process& group = header.process(static_cast<int>(added_to - 1));
  return group.group_size() > 0 && group.added_to() == 0;
}

}  // namespace memtrace
