#include "tools/read/symbolize.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "tools/read/elf_symbols.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

// An ELF file that is open: the file itself, or its separate debug file.
class ElfFile {
 public:
  explicit ElfFile(const std::string& path) {
    elf_version(EV_CURRENT);
    // Paths come out of regions: nothing but a plain file is opened, and never waited for.
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    if (fd_ < 0 || fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) return;
    elf_ = elf_begin(fd_, ELF_C_READ_MMAP, nullptr);
    if (elf_ != nullptr && elf_kind(elf_) != ELF_K_ELF) {
      elf_end(elf_);
      elf_ = nullptr;
    }
  }
  ~ElfFile() {
    if (dwarf_ != nullptr) dwarf_end(dwarf_);
    if (elf_ != nullptr) elf_end(elf_);
    if (fd_ >= 0) close(fd_);
  }
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  Elf* elf() const { return elf_; }
  Dwarf* dwarf() {
    if (dwarf_ == nullptr && elf_ != nullptr) dwarf_ = dwarf_begin_elf(elf_, DWARF_C_READ, nullptr);
    return dwarf_;
  }
  std::string BuildId() const {
    const void* bits = nullptr;
    const ssize_t size = elf_ == nullptr ? 0 : dwelf_elf_gnu_build_id(elf_, &bits);
    if (size <= 0) return "";
    return absl::BytesToHexString(
        absl::string_view(static_cast<const char*>(bits), static_cast<size_t>(size)));
  }

 private:
  int fd_ = -1;
  Elf* elf_ = nullptr;
  Dwarf* dwarf_ = nullptr;
};

// Which compilation unit an address belongs to. Made from the units' own ranges, because not every
// compiler writes .debug_aranges.
class UnitIndex {
 public:
  void Load(Dwarf* dwarf, absl::Time deadline) {
    Dwarf_CU* unit = nullptr;
    Dwarf_Die die, sub;
    Dwarf_Half version;
    uint8_t type;
    while (dwarf_get_units(dwarf, unit, &unit, &version, &type, &die, &sub) == 0) {
      if (type != DW_UT_compile && type != DW_UT_skeleton) continue;
      Dwarf_Addr base, start, end;
      for (ptrdiff_t at = 0; (at = dwarf_ranges(&die, at, &base, &start, &end)) > 0;) {
        if (end > start) ranges_.push_back({start, end, die});
      }
      if (absl::Now() > deadline) break;
    }
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.start < b.start; });
  }

  Dwarf_Die* Find(uint64_t address) {
    auto next = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                 [](uint64_t a, const Range& r) { return a < r.start; });
    if (next == ranges_.begin()) return nullptr;
    --next;
    return address < next->end ? &next->unit : nullptr;
  }

 private:
  struct Range {
    uint64_t start;
    uint64_t end;
    Dwarf_Die unit;
  };
  std::vector<Range> ranges_;
};

int64_t DeclarationLine(Dwarf_Die* function) {
  int line = 0;
  return dwarf_decl_line(function, &line) == 0 ? line : 0;
}

// A file as the compiler was told of it, made absolute by its folder. Distributions map the folder
// to a relative one ("./string"), and then the file's own name says it all.
std::string SourcePath(Dwarf_Die* unit, const char* file) {
  if (file == nullptr) return "";
  Dwarf_Attribute attribute;
  const char* folder = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
  absl::string_view name = file;
  absl::ConsumePrefix(&name, "./");
  if (absl::StartsWith(name, "/") || folder == nullptr || *folder != '/') return std::string(name);
  return absl::StrCat(folder, "/", name);
}

// The functions of one unit that exist in machine code, by address, each with the calls that were
// inlined directly into it.
class UnitFunctions {
 public:
  explicit UnitFunctions(Dwarf_Die unit) {
    dwarf_getfuncs(
        &unit,
        [](Dwarf_Die* die, void* self) {
          static_cast<UnitFunctions*>(self)->Add(die);
          return static_cast<int>(DWARF_CB_OK);
        },
        this, 0);
    std::sort(functions_.begin(), functions_.end(),
              [](const Entry& a, const Entry& b) { return a.start < b.start; });
  }

  Dwarf_Die* Find(uint64_t address) {
    auto next = std::upper_bound(functions_.begin(), functions_.end(), address,
                                 [](uint64_t a, const Entry& e) { return a < e.start; });
    if (next == functions_.begin()) return nullptr;
    --next;
    return address < next->end ? &next->die : nullptr;
  }

 private:
  struct Entry {
    uint64_t start;
    uint64_t end;
    Dwarf_Die die;
  };
  void Add(Dwarf_Die* die) {
    Dwarf_Addr base, start, end;
    for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &start, &end)) > 0;) {
      if (end > start) functions_.push_back({start, end, *die});
    }
  }
  std::vector<Entry> functions_;
};

// The outermost inlined call in `scope` that holds the address, or false.
bool OutermostInlined(Dwarf_Die* scope, uint64_t address, Dwarf_Die* inlined, int depth = 0) {
  Dwarf_Die child;
  if (depth > 32 || dwarf_child(scope, &child) != 0) return false;
  do {
    const int tag = dwarf_tag(&child);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) continue;
    if (dwarf_haspc(&child, address) != 1) continue;
    if (tag == DW_TAG_lexical_block) return OutermostInlined(&child, address, inlined, depth + 1);
    *inlined = child;
    return true;
  } while (dwarf_siblingof(&child, &child) == 0);
  return false;
}

// Debug information and symbols of one module.
class ModuleSymbols {
 public:
  ModuleSymbols(const Module& module, absl::Time deadline)
      : file_(module.path), deadline_(deadline) {
    if (file_.elf() == nullptr) return;
    const std::string build_id = file_.BuildId();
    if (!module.build_id.empty() && build_id != module.build_id) return;
    usable_ = true;
    symbols_.Load(file_.elf());
    OpenDwarf(build_id);
  }

  NativeSymbol Resolve(uint64_t address) {
    NativeSymbol symbol;
    if (!usable_) return symbol;
    if (dwarf_ != nullptr && absl::Now() < deadline_) FromDwarf(address, &symbol);
    if (symbol.function.empty()) {
      if (const char* name = symbols_.Find(address)) symbol.function = ValidUtf8(Demangle(name));
    }
    return symbol;
  }

 private:
  void OpenDwarf(const std::string& build_id) {
    if (absl::Now() > deadline_) return;
    Dwarf* dwarf = file_.dwarf();
    if ((dwarf == nullptr || !HasUnits(dwarf)) && build_id.size() > 2) {
      debug_file_ = std::make_unique<ElfFile>(absl::StrCat(
          "/usr/lib/debug/.build-id/", build_id.substr(0, 2), "/", build_id.substr(2), ".debug"));
      if (debug_file_->BuildId() != build_id) return;
      dwarf = debug_file_->dwarf();
      ElfSymbols full;
      full.Load(debug_file_->elf());
      if (!full.empty()) symbols_ = std::move(full);
    }
    if (dwarf == nullptr || !HasUnits(dwarf)) return;
    dwarf_ = dwarf;
    units_.Load(dwarf, deadline_);
  }

  static bool HasUnits(Dwarf* dwarf) {
    Dwarf_CU* unit = nullptr;
    return dwarf_get_units(dwarf, nullptr, &unit, nullptr, nullptr, nullptr, nullptr) == 0;
  }

  void FromDwarf(uint64_t address, NativeSymbol* symbol) {
    Dwarf_Die* unit = units_.Find(address);
    if (unit == nullptr) return;
    auto [it, fresh] = functions_.try_emplace(dwarf_dieoffset(unit));
    if (fresh) it->second = std::make_unique<UnitFunctions>(*unit);
    Dwarf_Die* function = it->second->Find(address);
    if (function != nullptr) {
      symbol->function = FunctionName(function, address);
      symbol->start_line = DeclarationLine(function);
    }
    Dwarf_Die inlined;
    if (function != nullptr && OutermostInlined(function, address, &inlined)) {
      CallSite(unit, &inlined, symbol);
    } else {
      LineTable(unit, address, symbol);
    }
  }

  // The linkage name holds the arguments' types. Functions of one file alone have none in DWARF,
  // but in the symbol table; there, though, C's may have a suffix of the compiler's
  // (".constprop.0").
  std::string FunctionName(Dwarf_Die* function, uint64_t address) const {
    Dwarf_Attribute attribute;
    const char* name =
        dwarf_formstring(dwarf_attr_integrate(function, DW_AT_linkage_name, &attribute));
    const char* symbol = symbols_.Find(address);
    if (name == nullptr && symbol != nullptr &&
        (absl::StartsWith(symbol, "_Z") || absl::StartsWith(symbol, "_R"))) {
      name = symbol;
    }
    if (name == nullptr) name = dwarf_diename(function);
    if (name == nullptr) name = symbol;
    return name == nullptr ? "" : ValidUtf8(Demangle(name));
  }

  static void CallSite(Dwarf_Die* unit, Dwarf_Die* inlined, NativeSymbol* symbol) {
    Dwarf_Attribute attribute;
    Dwarf_Word line = 0, file = 0;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) != 0 ||
        dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) != 0) {
      return;
    }
    Dwarf_Files* files = nullptr;
    size_t count = 0;
    if (dwarf_getsrcfiles(unit, &files, &count) != 0 || file >= count) return;
    symbol->file = ValidUtf8(SourcePath(unit, dwarf_filesrc(files, file, nullptr, nullptr)));
    symbol->line = static_cast<int64_t>(line & INT32_MAX);
  }

  static void LineTable(Dwarf_Die* unit, uint64_t address, NativeSymbol* symbol) {
    Dwarf_Line* row = dwarf_getsrc_die(unit, address);
    int line = 0;
    if (row == nullptr || dwarf_lineno(row, &line) != 0 || line <= 0) return;
    symbol->file = ValidUtf8(SourcePath(unit, dwarf_linesrc(row, nullptr, nullptr)));
    symbol->line = line;
  }

  ElfFile file_;
  const absl::Time deadline_;
  bool usable_ = false;
  ElfSymbols symbols_;
  std::unique_ptr<ElfFile> debug_file_;
  Dwarf* dwarf_ = nullptr;  // of file_ or debug_file_
  UnitIndex units_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<UnitFunctions>> functions_;
};

class FileSymbolizer : public Symbolizer {
 public:
  explicit FileSymbolizer(absl::Duration dwarf_time) : deadline_(absl::Now() + dwarf_time) {}

  NativeSymbol Resolve(const Module& module, uint64_t address) override {
    if (address == 0 || module.path.empty() || module.path[0] != '/') return {};
    auto& symbols = modules_[{module.path, module.build_id}];
    if (symbols == nullptr) symbols = std::make_unique<ModuleSymbols>(module, deadline_);
    return symbols->Resolve(address - 1);
  }

 private:
  const absl::Time deadline_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<ModuleSymbols>> modules_;
};

}  // namespace

std::unique_ptr<Symbolizer> MakeSymbolizer(absl::Duration dwarf_time) {
  return std::make_unique<FileSymbolizer>(dwarf_time);
}

}  // namespace memtrace
