// Which compilation unit, and which function of it, an address belongs to.
//
// Made from the units' and functions' own ranges, because not every compiler writes .debug_aranges.
// Bytes are the file's: nothing is taken for granted but that libdw has checked what it hands out.
//
// Threading: none. Lives no longer than the Dwarf it was made from.

#ifndef MEMTRACE_TOOLS_READ_UNIT_INDEX_H_
#define MEMTRACE_TOOLS_READ_UNIT_INDEX_H_

#include <elfutils/libdw.h>

#include <cstdint>
#include <vector>

namespace memtrace {

// DIEs by the addresses that they cover.
class DieRanges {
 public:
  void Add(Dwarf_Die* die);
  void Sort();
  Dwarf_Die* Find(uint64_t address);

 private:
  struct Range {
    uint64_t start;
    uint64_t end;
    Dwarf_Die die;
  };
  std::vector<Range> ranges_;
};

class UnitIndex {
 public:
  void Load(Dwarf* dwarf);
  // The unit; of one whose information is in a .dwo file, the skeleton that stands for it.
  Dwarf_Die* Find(uint64_t address) { return units_.Find(address); }

 private:
  DieRanges units_;
};

// The functions of one unit that exist in machine code.
class UnitFunctions {
 public:
  // `unit`: a skeleton is replaced by the unit of the .dwo file, if that is there.
  explicit UnitFunctions(Dwarf_Die unit);
  Dwarf_Die* Find(uint64_t address) { return functions_.Find(address); }
  Dwarf_Die* unit() { return &unit_; }

 private:
  Dwarf_Die unit_;
  DieRanges functions_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_UNIT_INDEX_H_
