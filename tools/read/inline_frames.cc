#include "tools/read/inline_frames.h"

#include <dwarf.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "tools/read/section_view.h"
#include "tools/read/symbolize.h"

namespace memtrace {
namespace {

constexpr int kMostScopes = 256;  // lexical blocks in inlined calls in blocks

int64_t DeclarationLine(Dwarf_Die* function) {
  int line = 0;
  return dwarf_decl_line(function, &line) == 0 && line > 0 ? line : 0;
}

// A file as the compiler was told of it, made absolute by its folder. Distributions map the folder
// to a relative one ("./string"), and then the file's own name says it all.
std::string SourcePath(Dwarf_Die* unit, const char* file) {
  if (file == nullptr) return "";
  Dwarf_Attribute attribute;
  const char* folder = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
  absl::string_view name = file;
  absl::ConsumePrefix(&name, "./");
  if (absl::StartsWith(name, "/") || folder == nullptr || *folder != '/') {
    return ValidUtf8(std::string(name));
  }
  return ValidUtf8(absl::StrCat(folder, "/", name));
}

// The next scope inside of `scope` that holds the address.
bool InnerScope(Dwarf_Die* scope, uint64_t address, Dwarf_Die* inner) {
  Dwarf_Die child;
  if (dwarf_child(scope, &child) != 0) return false;
  do {
    const int tag = dwarf_tag(&child);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) continue;
    if (dwarf_haspc(&child, address) != 1) continue;
    *inner = child;
    return true;
  } while (dwarf_siblingof(&child, &child) == 0);
  return false;
}

// The calls inlined into `function` at the address, outermost first.
std::vector<Dwarf_Die> InlinedCalls(Dwarf_Die function, uint64_t address) {
  std::vector<Dwarf_Die> calls;
  Dwarf_Die scope = function, inner;
  for (int depth = 0; depth < kMostScopes && calls.size() < kMostInlined; ++depth) {
    if (!InnerScope(&scope, address, &inner)) break;
    if (dwarf_tag(&inner) == DW_TAG_inlined_subroutine) calls.push_back(inner);
    scope = inner;
  }
  return calls;
}

const char* LinkageName(Dwarf_Die* function) {
  Dwarf_Attribute attribute;
  return dwarf_formstring(dwarf_attr_integrate(function, DW_AT_linkage_name, &attribute));
}

// `unit` has the numbers of files, `skeleton` the folder they are relative to: two units where the
// debug information is split.
void CallSite(Dwarf_Die* unit, Dwarf_Die* skeleton, Dwarf_Die* inlined, NativeSymbol* symbol) {
  Dwarf_Attribute attribute;
  Dwarf_Word line = 0, file = 0;
  if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) != 0 ||
      dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) != 0) {
    return;
  }
  Dwarf_Files* files = nullptr;
  size_t count = 0;
  if (dwarf_getsrcfiles(unit, &files, &count) != 0 || file >= count) return;
  symbol->file = SourcePath(skeleton, dwarf_filesrc(files, file, nullptr, nullptr));
  symbol->line = static_cast<int64_t>(line & INT32_MAX);
}

void LineTable(Dwarf_Die* unit, uint64_t address, NativeSymbol* symbol) {
  Dwarf_Line* row = dwarf_getsrc_die(unit, address);
  int line = 0;
  if (row == nullptr || dwarf_lineno(row, &line) != 0 || line <= 0) return;
  symbol->file = SourcePath(unit, dwarf_linesrc(row, nullptr, nullptr));
  symbol->line = line;
}

// C has no names inside of names.
bool HasScopes(Dwarf_Die* unit) {
  switch (dwarf_srclang(unit)) {
    case DW_LANG_C:
    case DW_LANG_C89:
    case DW_LANG_C99:
    case DW_LANG_C11:
      return false;
    default:
      return true;
  }
}

}  // namespace

NativeFrames InlineFrames::At(uint64_t address) {
  NativeFrames frames;
  Dwarf_Die* skeleton = units_.Find(address);
  if (skeleton == nullptr) return frames;
  auto [it, fresh] = functions_.try_emplace(dwarf_dieoffset(skeleton));
  if (fresh) it->second = std::make_unique<UnitFunctions>(*skeleton);
  Dwarf_Die* unit = it->second->unit();
  Dwarf_Die* function = it->second->Find(address);
  std::vector<Dwarf_Die> calls;
  if (function != nullptr) calls = InlinedCalls(*function, address);
  frames.resize(calls.size() + 1);
  LineTable(skeleton, address, &frames.front());
  for (size_t i = 0; i < calls.size(); ++i) {
    NativeSymbol& callee = frames[calls.size() - 1 - i];
    callee.function = InlinedName(unit, &calls[i]);
    callee.start_line = DeclarationLine(&calls[i]);
    CallSite(unit, skeleton, &calls[i], &frames[calls.size() - i]);
  }
  if (function != nullptr) {
    frames.back().function = FunctionName(function, address);
    frames.back().start_line = DeclarationLine(function);
  }
  return frames;
}

// The linkage name holds the arguments' types. Functions of one file alone have none in DWARF, but
// in the symbol table; there, though, C's may have a suffix of the compiler's (".constprop.0").
std::string InlineFrames::FunctionName(Dwarf_Die* function, uint64_t address) {
  const char* name = LinkageName(function);
  const char* symbol = symbols_->Find(address);
  if (name == nullptr && symbol != nullptr &&
      (absl::StartsWith(symbol, "_Z") || absl::StartsWith(symbol, "_R"))) {
    name = symbol;
  }
  if (name == nullptr) name = dwarf_diename(function);
  if (name == nullptr) name = symbol;
  return name == nullptr ? "" : ValidUtf8(Demangle(name));
}

// Without a linkage name, an inlined function has its scopes' names and no arguments.
std::string InlineFrames::InlinedName(Dwarf_Die* unit, Dwarf_Die* inlined) {
  if (const char* name = LinkageName(inlined)) return ValidUtf8(Demangle(name));
  Dwarf_Attribute attribute;
  Dwarf_Die origin = *inlined, next;
  for (int steps = 0; steps < 4; ++steps) {
    const bool follows =
        dwarf_formref_die(dwarf_attr(&origin, DW_AT_abstract_origin, &attribute), &next) !=
            nullptr ||
        dwarf_formref_die(dwarf_attr(&origin, DW_AT_specification, &attribute), &next) != nullptr;
    if (!follows) break;
    origin = next;
  }
  if (HasScopes(unit)) return QualifiedName(&origin);
  const char* name = dwarf_diename(&origin);
  return name == nullptr ? "" : ValidUtf8(name);
}

std::string InlineFrames::QualifiedName(Dwarf_Die* function) {
  const char* name = dwarf_diename(function);
  Dwarf_Die unit;
  if (name == nullptr || dwarf_diecu(function, &unit, nullptr, nullptr) == nullptr) return "";
  auto [it, fresh] = scopes_.try_emplace(reinterpret_cast<uintptr_t>(unit.addr));
  if (fresh) it->second = std::make_unique<ScopeNames>(unit);
  return absl::StrCat(it->second->Of(*function), ValidUtf8(name));
}

}  // namespace memtrace
