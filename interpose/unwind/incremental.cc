#include "interpose/unwind/incremental.h"

#include <errno.h>
#include <string.h>
#include <sys/ucontext.h>

#include "interpose/native.h"
#include "interpose/os/os.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"
#include "interpose/stack.h"
#include "interpose/thread.h"
#include "interpose/threads.h"

namespace memtrace::unwind {
namespace {

// Frames of a stack that is cut at the outer end are hung under the root. Of deep ones only so
// many, or a recursion would make a new stack of each of its depths.
constexpr int kShownOfCut = 64;

// Where the walk is: the instruction the frame will go on with, and its registers.
struct Cursor {
  uintptr_t pc;
  uintptr_t sp;
  uintptr_t bp;
  const uintptr_t* at;     // where pc is stored
  const uintptr_t* bp_at;  // where bp was loaded from since the last frame; nullptr: not at all
  bool exact;              // pc is where a signal interrupted it
};

enum class Outcome { kJoined, kEnded, kCut, kComplex };

// Frames that have no callers and do not say so. A coroutine's first function returns to the
// beginning of another: nothing was called. And what the loader starts a program with is written by
// hand.
bool IsOutermost(const Cursor& c) {
  return (!c.exact && FindFunction(c.pc).start == c.pc) || os::IsInLoader(c.pc);
}

Rule RuleFor(uintptr_t address, const Cursor& c) {
  const Rule rule = FindRule(address);
  if (rule.kind != RuleKind::kNone || !IsOutermost(c)) return rule;
  return {0, 0, RuleKind::kEnd, SavedBp::kUnchanged};
}

__attribute__((noinline)) Code LookUp(Thread* t, const Cursor& c) {
  const uintptr_t address = c.exact ? c.pc : c.pc - 1;
  const ShownFrames shown = ShowFrame(t, address);
  return {RuleFor(address, c), shown.frame, shown.inside};
}

inline Code Look(Thread* t, NativeStack* s, const Cursor& c) {
  const uintptr_t key = c.pc << 1 | static_cast<uintptr_t>(c.exact);
  CodeEntry* entry = s->codes + Spread(key) % NativeStack::kCodes;
  if (__builtin_expect(entry->key == key, 1)) return entry->code;
  const Code code = LookUp(t, c);
  // What is not known may be code that was made a moment ago and will be other code soon.
  if (code.rule.kind != RuleKind::kNone) *entry = {key, code};
  return code;
}

// Whether memory that a rule names may be read. What rsp leads to is the stack itself; rbp may hold
// anything where code has not done as it says.
bool Read(const NativeStack* s, uintptr_t sp, uintptr_t address, uintptr_t* out) {
  if (sp >= s->low && address >= sp && address < s->high) {
    *out = *reinterpret_cast<const uintptr_t*>(address);
    return true;
  }
  const int saved_errno = errno;
  const bool read = os::SafeRead(reinterpret_cast<const void*>(address), out, sizeof *out);
  errno = saved_errno;
  return read;
}

bool StepThroughSignal(Cursor* c) {
  const auto* context = reinterpret_cast<const ucontext_t*>(c->sp);
  const auto* registers = context->uc_mcontext.gregs;
  c->at = reinterpret_cast<const uintptr_t*>(registers + REG_RIP);
  c->pc = static_cast<uintptr_t>(registers[REG_RIP]);
  c->sp = static_cast<uintptr_t>(registers[REG_RSP]);
  c->bp = static_cast<uintptr_t>(registers[REG_RBP]);
  c->bp_at = nullptr;
  c->exact = true;
  return c->pc != 0;
}

// To the caller. False: there is no believable one.
inline bool Step(const NativeStack* s, const Rule& rule, Cursor* c) {
  uintptr_t cfa = rule.kind == RuleKind::kFromSp ? c->sp : c->bp;
  cfa += static_cast<uintptr_t>(static_cast<intptr_t>(rule.cfa_offset));
  const bool from_sp = rule.kind == RuleKind::kFromSp;
  if (rule.kind == RuleKind::kLoadFromBp && !Read(s, c->sp, cfa, &cfa)) return false;
  if (cfa <= c->sp || cfa % 8 != 0) return false;
  const uintptr_t at = cfa - 8;
  if (from_sp) {
    c->pc = *reinterpret_cast<const uintptr_t*>(at);
  } else if (!Read(s, c->sp, at, &c->pc)) {
    return false;
  }
  c->bp_at = nullptr;
  if (rule.bp != SavedBp::kUnchanged) {
    const uintptr_t place = (rule.bp == SavedBp::kAtCfa ? cfa : c->bp) +
                            static_cast<uintptr_t>(static_cast<intptr_t>(rule.bp_offset));
    c->bp_at = reinterpret_cast<const uintptr_t*>(place);
    if (from_sp && rule.bp == SavedBp::kAtCfa) {
      c->bp = *c->bp_at;
    } else if (!Read(s, c->sp, place, &c->bp)) {
      return false;
    }
  }
  c->at = reinterpret_cast<const uintptr_t*>(at);
  c->sp = cfa;
  c->exact = false;
  return c->pc != 0;
}

class Walk {
 public:
  Walk(Thread* t, NativeStack* s) : t_(t), s_(s), limit_(s->count) {}

  Outcome Run(Cursor* c) {
    for (;;) {
      if (Joins(*c)) return Outcome::kJoined;
      if (fresh_ == NativeStack::kMaxFresh) return Outcome::kCut;
      const Code code = Look(t_, s_, *c);
      s_->fresh[fresh_++] = {c->at, c->bp_at, c->pc, c->bp, code};
      switch (code.rule.kind) {
        case RuleKind::kEnd:
          return Outcome::kEnded;
        case RuleKind::kNone:
          return Outcome::kCut;
        case RuleKind::kComplex:
          return Outcome::kComplex;
        case RuleKind::kSignal:
          through_signal_ = true;
          limit_ = 0;
          if (!StepThroughSignal(c)) return Outcome::kCut;
          break;
        default:
          if (__builtin_expect(!Step(s_, code.rule, c), 0)) {
            return c->pc == 0 ? Outcome::kEnded : Outcome::kCut;
          }
      }
    }
  }

  uint32_t fresh() const { return fresh_; }
  uint32_t limit() const { return limit_; }  // kept entries that are still true
  bool through_signal() const { return through_signal_; }

 private:
  bool Joins(const Cursor& c) {
    while (limit_ > 0 && s_->kept[limit_ - 1].at < c.at) limit_--;
    if (limit_ == 0 || s_->kept[limit_ - 1].at != c.at) return false;
    const KeptInfo& info = s_->info[limit_ - 1];
    if (!info.is_frame || s_->kept[limit_ - 1].value != c.pc ||
        (info.needs_bp && info.bp != c.bp)) {
      limit_--;
      return false;
    }
    const uint32_t changed = FirstChanged(s_, limit_ - 1);
    if (changed == 0) return true;
    limit_ = changed - 1;
    return false;
  }

  Thread* const t_;
  NativeStack* const s_;
  uint32_t limit_;
  uint32_t fresh_ = 0;
  bool through_signal_ = false;
};

inline uint32_t Child(NativeStack* s, uint32_t parent, uint32_t frame) {
  if (frame == 0) return parent;
  ChildEntry* entry =
      s->children + Spread(static_cast<uint64_t>(parent) << 32 | frame) % NativeStack::kChildren;
  if (__builtin_expect(entry->parent == parent && entry->frame == frame, 1)) return entry->node;
  const uint32_t node = InternNativeNode(parent, frame);
  if (node == 0) return parent;  // region full: the caller's node is the best there is
  *entry = {parent, frame, node};
  return node;
}

inline uint32_t NodeUnder(NativeStack* s, uint32_t parent, const Code& code) {
  const uint32_t node = Child(s, parent, code.frame);
  return __builtin_expect(code.extra != 0, 0) ? Child(s, node, code.extra) : node;
}

// Adds the frame and, if frames farther out depend on it, the rbp that it got from the one inside.
inline void Push(NativeStack* s, const NativeStack::Fresh& f, uint32_t node, bool needs_bp) {
  s->kept[s->count] = {f.at, f.pc};
  s->info[s->count++] = {f.bp, node, true, needs_bp};
}
inline void PushBp(NativeStack* s, const uintptr_t* at, uintptr_t bp) {
  if (at == nullptr) return;
  s->kept[s->count] = {at, bp};
  s->info[s->count++] = {0, 0, false, false};
}

// Puts the fresh frames onto what is kept. `join`: where the walk met it.
uint32_t PushFresh(NativeStack* s, uint32_t fresh, const Cursor& join) {
  uint32_t node = 0;
  bool needs_bp = false;
  if (s->count > 0) {
    const KeptInfo& outer = s->info[s->count - 1];
    node = outer.node;
    needs_bp = outer.needs_bp;
    if (needs_bp && fresh > 0) PushBp(s, join.bp_at, join.bp);
  }
  for (uint32_t i = fresh; i-- > 0;) {
    const NativeStack::Fresh& f = s->fresh[i];
    const Rule& rule = f.code.rule;
    node = NodeUnder(s, node, f.code);
    needs_bp = rule.UsesBp() || (rule.bp == SavedBp::kUnchanged && needs_bp);
    Push(s, f, node, needs_bp);
    if (needs_bp && i > 0) PushBp(s, f.bp_at, f.bp);
  }
  return node;
}

// Addresses may mean something else now.
void ForgetOld(Thread* t, NativeStack* s) {
  const uint32_t modules = g_modules_changed.load(std::memory_order_acquire);
  if (__builtin_expect(s->seen_modules == modules, 1)) return;
  s->seen_modules = modules;
  RenewSites(t);
  s->count = 0;
  memset(s->codes, 0, sizeof s->codes);
  memset(s->tails, 0, sizeof s->tails);
}

// What has been pushed onto the first `join_count` kept entries.
void KeepTail(const NativeStack* s, Tail* tail, const Place& from, uint32_t hint,
              uint32_t join_count) {
  const uint32_t count = s->count - join_count - 1;
  if (count > Tail::kMaxEntries) return;
  const KeptInfo& first = s->info[s->count - 1];
  const Kept& join = s->kept[join_count - 1];
  tail->pc = from.pc;
  tail->at = s->kept[s->count - 1].at;
  tail->bp = from.bp;
  tail->hint = hint;
  tail->node = first.node;
  tail->join_at = join.at;
  tail->join_value = join.value;
  tail->join_node = s->info[join_count - 1].node;
  tail->join_count = join_count;
  tail->count = count;
  tail->is_frame = 0;
  tail->needs_bp = first.needs_bp;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t from_kept = s->count - 2 - i;
    tail->entries[i] = s->kept[from_kept];
    tail->is_frame |= static_cast<uint16_t>(s->info[from_kept].is_frame << i);
  }
}

// What rules do not lead out of: the backend's answer, kept no longer than for this event.
uint32_t LeaveTo(Thread* t, NativeStack* s, const Place& from, const Backend& backend) {
  bool cut = false;
  const int count = Ask(t, backend, from, s->addresses, &cut);
  s->count = 0;
  s->last_followed = false;
  return NodeOfAddresses(t, s, s->addresses, count, cut);
}

}  // namespace

void CountCut() { g_region.header()->stacks_cut.fetch_add(1, std::memory_order_relaxed); }

int Ask(Thread* t, const Backend& backend, const Place& from, uintptr_t* addresses, bool* cut) {
  const int saved_errno = errno;
  const Busy busy = t->busy;
  t->busy = Busy::kAllocating;
  const int count = backend.capture(from, addresses, kMaxFrames, cut);
  t->busy = busy;
  errno = saved_errno;
  return count;
}

uint32_t NodeOfAddresses(Thread* t, NativeStack* s, const uintptr_t* addresses, int count,
                         bool cut) {
  ForgetOld(t, s);
  if (cut) {
    CountCut();
    if (count == kMaxFrames) count = kShownOfCut;
  }
  uint32_t node = 0;
  for (int i = count; i-- > 0;) {
    const Cursor c = {addresses[i], 0, 0, nullptr, nullptr, false};
    node = NodeUnder(s, node, Look(t, s, c));
  }
  return node;
}

// After a walk that did not meet the kept stack: what is kept begins anew, with so many frames.
static uint32_t BeginKept(NativeStack* s, uint32_t fresh, bool cut) {
  s->last_cut = cut;
  // Of a stack that is cut and deep only what is innermost.
  if (cut && fresh > kMaxFrames) fresh = kShownOfCut;
  s->count = 0;
  s->low = reinterpret_cast<uintptr_t>(s->fresh[0].at);
  s->high = reinterpret_cast<uintptr_t>(s->fresh[fresh - 1].at) + 8;
  return fresh;
}

uint32_t WalkStack(Thread* t, NativeStack* s, const Place& from, const uintptr_t* at, uint32_t hint,
                   const Backend* fallback) {
  ForgetOld(t, s);
  Tail* tail = TailOf(s, from.pc, at, hint);
  s->last_tail = nullptr;
  Walk walk(t, s);
  Cursor c = {from.pc, from.sp, from.bp, at, nullptr, false};
  const Outcome outcome = walk.Run(&c);
  if (__builtin_expect(outcome == Outcome::kComplex, 0) && fallback != nullptr) {
    return LeaveTo(t, s, from, *fallback);
  }
  uint32_t fresh = s->last_fresh = walk.fresh();
  s->last_followed = true;
  s->last_through_signal = walk.through_signal();
  s->count = walk.limit();
  if (outcome != Outcome::kJoined) fresh = BeginKept(s, fresh, outcome != Outcome::kEnded);
  if (reinterpret_cast<uintptr_t>(at) < s->low) s->low = reinterpret_cast<uintptr_t>(at);
  if (__builtin_expect(s->count + 2 * fresh > NativeStack::kMaxKept, 0)) {
    s->count = 0;
    s->last_cut = true;
  }
  if (__builtin_expect(s->last_cut, 0)) CountCut();
  const uint32_t join_count = s->count;
  const uint32_t node = PushFresh(s, fresh, c);
  if (join_count > 0 && fresh > 0) KeepTail(s, tail, from, hint, join_count);
  if (__builtin_expect(walk.through_signal(), 0)) Leave(s);
  return node;
}

}  // namespace memtrace::unwind
