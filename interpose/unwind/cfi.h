// How to get from a function to its caller, as the compiler describes it: DWARF call frame
// information in .eh_frame (DWARF 5, section 6.4; Linux Standard Base, "Exception Frames"), of
// which what x86-64 compilers write for ordinary functions is understood.
//
// Reads the tables of loaded modules, found without a lock where the C library can (glibc 2.35).
// Any thread; allocates nothing. Callers keep the answers: one takes about a microsecond.

#ifndef MEMTRACE_INTERPOSE_UNWIND_CFI_H_
#define MEMTRACE_INTERPOSE_UNWIND_CFI_H_

#include <cstdint>

namespace memtrace::unwind {

// CFA: the value of rsp before the function was called. The return address lies below it.
enum class RuleKind : uint8_t {
  kNone,        // no call frame information: nothing is known of the caller
  kComplex,     // some, but not one of the kinds below
  kEnd,         // there is no caller
  kFromSp,      // CFA = rsp + cfa_offset
  kFromBp,      // CFA = rbp + cfa_offset
  kLoadFromBp,  // CFA = what is stored at rbp + cfa_offset (functions that realign their stack)
  kSignal,      // the kernel's call of a signal handler: registers are in the ucontext at rsp
};
enum class SavedBp : uint8_t {
  kUnchanged,  // rbp is the caller's
  kAtCfa,      // stored at CFA + bp_offset
  kAtBp,       // stored at rbp + bp_offset
};
struct Rule {
  int32_t cfa_offset;
  int16_t bp_offset;
  RuleKind kind;
  SavedBp bp;

  bool UsesBp() const {
    return kind == RuleKind::kFromBp || kind == RuleKind::kLoadFromBp || bp == SavedBp::kAtBp;
  }
};

// For the instruction at `address`: of a return address, one byte before it.
Rule FindRule(uintptr_t address);

// The part of the program that the address's description is about: a function, or the half of it
// that the compiler put elsewhere. Empty where there is none.
struct CodeRange {
  uintptr_t start = 0;
  uintptr_t end = 0;
  bool Holds(uintptr_t address) const { return address - start < end - start; }
};
CodeRange FindFunction(uintptr_t address);

}  // namespace memtrace::unwind

#endif  // MEMTRACE_INTERPOSE_UNWIND_CFI_H_
