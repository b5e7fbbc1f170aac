#include "tools/read/unit_index.h"

#include <dwarf.h>

#include <algorithm>

namespace memtrace {

void DieRanges::Add(Dwarf_Die* die) {
  Dwarf_Addr base, start, end;
  for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &end)) > 0;) {
    if (end > start) ranges_.push_back({start, end, *die});
  }
}

void DieRanges::Sort() {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
}

Dwarf_Die* DieRanges::Find(uint64_t address) {
  auto next = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                               [](uint64_t a, const Range& r) { return a < r.start; });
  if (next == ranges_.begin()) return nullptr;
  --next;
  return address < next->end ? &next->die : nullptr;
}

void UnitIndex::Load(Dwarf* dwarf) {
  Dwarf_CU* unit = nullptr;
  Dwarf_Die die;
  uint8_t type;
  // No sub-unit is asked for: that would open each .dwo file.
  while (dwarf_get_units(dwarf, unit, &unit, nullptr, &type, &die, nullptr) == 0) {
    if (type == DW_UT_compile || type == DW_UT_skeleton) units_.Add(&die);
  }
  units_.Sort();
}

UnitFunctions::UnitFunctions(Dwarf_Die unit) : unit_(unit) {
  uint8_t type = 0;
  Dwarf_Die split;
  if (dwarf_cu_info(unit.cu, nullptr, &type, nullptr, &split, nullptr, nullptr, nullptr) == 0 &&
      type == DW_UT_skeleton && split.cu != nullptr) {
    unit_ = split;
  }
  dwarf_getfuncs(
      &unit_,
      [](Dwarf_Die* die, void* self) {
        static_cast<UnitFunctions*>(self)->functions_.Add(die);
        return static_cast<int>(DWARF_CB_OK);
      },
      this, 0);
  functions_.Sort();
}

}  // namespace memtrace
