#include "tools/read/scope_names.h"

#include <dwarf.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

constexpr size_t kMostDepth = 128;

uintptr_t Place(const Dwarf_Die& die) { return reinterpret_cast<uintptr_t>(die.addr); }

bool IsType(int tag) {
  return tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
         tag == DW_TAG_union_type;
}

std::string NameOf(Dwarf_Die die) {
  const char* name = dwarf_diename(&die);
  if (name != nullptr) return ValidUtf8(name);
  return dwarf_tag(&die) == DW_TAG_namespace ? "(anonymous namespace)" : "{unnamed}";
}

}  // namespace

ScopeNames::ScopeNames(Dwarf_Die unit) {
  Walk(&unit, UINTPTR_MAX);
  path_.clear();
  std::sort(scopes_.begin(), scopes_.end(),
            [](const Scope& a, const Scope& b) { return a.start < b.start; });
}

void ScopeNames::RecordPath() {
  for (Step& step : path_) {
    if (step.recorded || dwarf_tag(&step.die) == DW_TAG_lexical_block) continue;
    step.recorded = true;
    scopes_.push_back({Place(step.die), step.end, step.die});
  }
}

void ScopeNames::Walk(Dwarf_Die* parent, uintptr_t end) {
  Dwarf_Die child, next = {};
  if (path_.size() >= kMostDepth || dwarf_child(parent, &child) != 0) return;
  for (bool more = true; more; child = next) {
    more = dwarf_siblingof(&child, &next) == 0;
    const int tag = dwarf_tag(&child);
    const bool is_type = IsType(tag);
    if (!is_type && tag != DW_TAG_subprogram && tag != DW_TAG_lexical_block) continue;
    if (dwarf_haschildren(&child) <= 0) continue;
    const uintptr_t child_end = more ? Place(next) : end;
    path_.push_back({child, child_end, false});
    if (is_type) RecordPath();
    Walk(&child, child_end);
    path_.pop_back();
  }
}

std::string ScopeNames::Of(const Dwarf_Die& die) const {
  const uintptr_t place = Place(die);
  auto scope = std::lower_bound(scopes_.begin(), scopes_.end(), place,
                                [](const Scope& s, uintptr_t at) { return s.start < at; });
  // Those before it either hold the place or have ended.
  std::string text;
  for (size_t steps = 0; scope != scopes_.begin() && steps < scopes_.size(); ++steps) {
    --scope;
    if (place < scope->end) text = absl::StrCat(NameOf(scope->die), "::", text);
  }
  return text;
}

}  // namespace memtrace
