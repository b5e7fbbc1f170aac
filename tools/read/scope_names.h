// The namespaces, classes and functions that a function of one unit is declared in.
//
// One walk over the unit, and a look-up for each function: libdw's own way is a walk for each.
// DIEs lie in the order of the tree, so a scope is a stretch of addresses.
//
// Threading: none. Lives no longer than the Dwarf it was made from.

#ifndef MEMTRACE_TOOLS_READ_SCOPE_NAMES_H_
#define MEMTRACE_TOOLS_READ_SCOPE_NAMES_H_

#include <elfutils/libdw.h>

#include <cstdint>
#include <string>
#include <vector>

namespace memtrace {

class ScopeNames {
 public:
  explicit ScopeNames(Dwarf_Die unit);
  // "space::Class::" of the DIE; "" outside of any.
  std::string Of(const Dwarf_Die& die) const;

 private:
  struct Scope {
    uintptr_t start;
    uintptr_t end;
    Dwarf_Die die;
  };
  void Walk(Dwarf_Die* parent, uintptr_t end);
  void RecordPath();

  struct Step {
    Dwarf_Die die;
    uintptr_t end;
    bool recorded;  // a function is when it holds a class
  };
  std::vector<Step> path_;
  std::vector<Scope> scopes_;  // by start
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_SCOPE_NAMES_H_
