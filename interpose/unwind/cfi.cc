#include "interpose/unwind/cfi.h"

#include "interpose/unwind/descriptions.h"

namespace memtrace::unwind {
namespace {

constexpr uint64_t kBp = 6, kSp = 7, kReturnAddress = 16;
constexpr uint8_t kOpDeref = 0x06, kOpBregBp = 0x76;

enum class Where : uint8_t { kUnchanged, kAtCfa, kAtBp, kUndefined, kElsewhere };
struct Saved {
  Where where = Where::kUnchanged;
  int64_t offset = 0;
};
struct Row {
  uint64_t cfa_register = kSp;
  int64_t cfa_offset = 0;
  bool cfa_loads = false;  // it is what is stored there
  bool cfa_known = true;
  Saved bp;
  Saved return_address;

  Saved* Of(uint64_t column) {
    return column == kBp ? &bp : column == kReturnAddress ? &return_address : nullptr;
  }
};

constexpr int kRemembered = 8;

class Machine {
 public:
  Machine(const Description& description, uintptr_t address)
      : d_(description), address_(address), at_(description.range.start) {}

  // False: an instruction that is not known.
  bool Run() {
    if (!Run(d_.common)) return false;
    initial_ = row_;
    return Run(d_.own);
  }
  const Row& row() const { return row_; }

 private:
  bool Run(Bytes code) {
    while (!code.empty() && at_ <= address_) {
      const auto op = code.Take<uint8_t>();
      const uint64_t low = op & 0x3f;
      switch (op & 0xc0) {
        case 0x40:
          at_ += low * d_.code_factor;
          break;
        case 0x80:
          Save(low, static_cast<int64_t>(code.Unsigned()) * d_.data_factor);
          break;
        case 0xc0:
          Restore(low);
          break;
        default:
          if (!Extended(op, &code)) return false;
      }
    }
    return true;
  }

  bool Extended(uint8_t op, Bytes* code) {
    switch (op) {
      case 0x00:  // nop
        return true;
      case 0x01:  // set_loc
        return false;
      case 0x02:
        at_ += code->Take<uint8_t>() * d_.code_factor;
        return true;
      case 0x03:
        at_ += code->Take<uint16_t>() * d_.code_factor;
        return true;
      case 0x04:
        at_ += code->Take<uint32_t>() * d_.code_factor;
        return true;
      case 0x0a:
        return Remember();
      case 0x0b:
        return Recall();
      case 0x2e:  // GNU_args_size
        code->Unsigned();
        return true;
      default:
        return op >= 0x0c && op <= 0x13 && op != 0x10 ? Cfa(op, code) : Register(op, code);
    }
  }

  bool Cfa(uint8_t op, Bytes* code) {
    if (op == 0x0f) {  // def_cfa_expression
      row_.cfa_known = BpExpression(code, &row_.cfa_offset, &row_.cfa_loads);
      row_.cfa_register = kBp;
      return true;
    }
    const bool sets_register = op == 0x0c || op == 0x0d || op == 0x12;
    if (sets_register) {
      row_.cfa_register = code->Unsigned();
      if (row_.cfa_loads) row_.cfa_known = op != 0x0d;
    }
    if (op == 0x0c || op == 0x0e) row_.cfa_offset = static_cast<int64_t>(code->Unsigned());
    if (op == 0x12 || op == 0x13) row_.cfa_offset = code->Signed() * d_.data_factor;
    if (op == 0x0c || op == 0x12) {
      row_.cfa_known = true;
      row_.cfa_loads = false;
    }
    return true;
  }

  bool Register(uint8_t op, Bytes* code) {
    const uint64_t column = code->Unsigned();
    switch (op) {
      case 0x05:  // offset_extended
        Save(column, static_cast<int64_t>(code->Unsigned()) * d_.data_factor);
        return true;
      case 0x06:
        Restore(column);
        return true;
      case 0x07:
        Set(column, {Where::kUndefined, 0});
        return true;
      case 0x08:
        Set(column, {Where::kUnchanged, 0});
        return true;
      case 0x11:  // offset_extended_sf
        Save(column, code->Signed() * d_.data_factor);
        return true;
      case 0x09:  // register
      case 0x14:  // val_offset
      case 0x2f:  // GNU_negative_offset_extended
        code->Unsigned();
        Set(column, {Where::kElsewhere, 0});
        return true;
      case 0x15:  // val_offset_sf
        code->Signed();
        Set(column, {Where::kElsewhere, 0});
        return true;
      case 0x10: {  // expression
        Saved saved{Where::kAtBp, 0};
        bool loads = false;
        if (!BpExpression(code, &saved.offset, &loads) || loads) saved.where = Where::kElsewhere;
        Set(column, saved);
        return true;
      }
      case 0x16:  // val_expression
        code->Skip(code->Unsigned());
        Set(column, {Where::kElsewhere, 0});
        return true;
      default:
        return false;
    }
  }

  // "rbp + n", or what is stored there.
  static bool BpExpression(Bytes* code, int64_t* offset, bool* loads) {
    const uint64_t length = code->Unsigned();
    Bytes expression = *code;
    code->Skip(length);
    expression.end = code->at;
    if (expression.Take<uint8_t>() != kOpBregBp) return false;
    *offset = expression.Signed();
    *loads = !expression.empty() && expression.Take<uint8_t>() == kOpDeref;
    return expression.empty();
  }

  void Set(uint64_t column, Saved saved) {
    if (Saved* place = row_.Of(column)) *place = saved;
  }
  void Save(uint64_t column, int64_t offset) { Set(column, {Where::kAtCfa, offset}); }
  void Restore(uint64_t column) {
    if (Saved* from = initial_.Of(column)) Set(column, *from);
  }
  bool Remember() {
    if (remembered_ == kRemembered) return false;
    stack_[remembered_++] = row_;
    return true;
  }
  bool Recall() {
    if (remembered_ == 0) return false;
    row_ = stack_[--remembered_];
    return true;
  }

  const Description& d_;
  const uintptr_t address_;
  uintptr_t at_;
  Row row_, initial_;
  Row stack_[kRemembered];
  int remembered_ = 0;
};

Rule RuleOf(const Row& row) {
  constexpr Rule kComplex = {0, 0, RuleKind::kComplex, SavedBp::kUnchanged};
  if (row.return_address.where == Where::kUndefined) {
    return {0, 0, RuleKind::kEnd, SavedBp::kUnchanged};
  }
  if (row.return_address.where != Where::kAtCfa || row.return_address.offset != -8 ||
      !row.cfa_known || (row.cfa_register != kSp && row.cfa_register != kBp) ||
      row.cfa_offset != static_cast<int32_t>(row.cfa_offset) ||
      row.bp.offset != static_cast<int16_t>(row.bp.offset)) {
    return kComplex;
  }
  Rule rule = {static_cast<int32_t>(row.cfa_offset), static_cast<int16_t>(row.bp.offset),
               row.cfa_register == kSp ? RuleKind::kFromSp
               : row.cfa_loads         ? RuleKind::kLoadFromBp
                                       : RuleKind::kFromBp,
               SavedBp::kUnchanged};
  switch (row.bp.where) {
    case Where::kUnchanged:
    case Where::kUndefined:
      return rule;
    case Where::kAtCfa:
      rule.bp = SavedBp::kAtCfa;
      return rule;
    case Where::kAtBp:
      rule.bp = SavedBp::kAtBp;
      return rule;
    default:
      return kComplex;
  }
}

}  // namespace

Rule FindRule(uintptr_t address) {
  Description description;
  if (!FindDescription(address, &description)) {
    return {0, 0, RuleKind::kNone, SavedBp::kUnchanged};
  }
  if (description.is_signal) return {0, 0, RuleKind::kSignal, SavedBp::kUnchanged};
  Machine machine(description, address);
  if (!machine.Run()) return {0, 0, RuleKind::kComplex, SavedBp::kUnchanged};
  return RuleOf(machine.row());
}

CodeRange FindFunction(uintptr_t address) {
  Description description;
  return FindDescription(address, &description) ? description.range : CodeRange{};
}

}  // namespace memtrace::unwind
