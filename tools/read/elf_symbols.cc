#include "tools/read/elf_symbols.h"

#include <gelf.h>

#include <algorithm>
#include <tuple>

namespace memtrace {
namespace {

uint64_t SectionEnd(Elf* elf, size_t index) {
  GElf_Shdr header;
  Elf_Scn* section = elf_getscn(elf, index);
  if (section == nullptr || gelf_getshdr(section, &header) == nullptr) return 0;
  return header.sh_addr + header.sh_size;
}

}  // namespace

void ElfSymbols::Load(Elf* elf) {
  Elf_Scn* dynamic = nullptr;
  Elf_Scn* full = nullptr;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if (header.sh_type == SHT_SYMTAB) full = section;
    if (header.sh_type == SHT_DYNSYM) dynamic = section;
  }
  if (full != nullptr) LoadTable(elf, full);
  if (symbols_.empty() && dynamic != nullptr) LoadTable(elf, dynamic);
  // Of several names for one place the global one comes last, and is found.
  std::sort(symbols_.begin(), symbols_.end(), [](const Symbol& a, const Symbol& b) {
    return std::tie(a.start, a.global, a.sized, a.end) <
           std::tie(b.start, b.global, b.sized, b.end);
  });
  uint64_t next = UINT64_MAX;  // where the next symbol elsewhere begins
  for (size_t i = symbols_.size(); i-- > 0;) {
    if (i + 1 < symbols_.size() && symbols_[i + 1].start != symbols_[i].start) {
      next = symbols_[i + 1].start;
    }
    if (!symbols_[i].sized) symbols_[i].end = std::min(symbols_[i].end, next);
  }
}

void ElfSymbols::LoadTable(Elf* elf, Elf_Scn* section) {
  GElf_Shdr header;
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || gelf_getshdr(section, &header) == nullptr || header.sh_entsize == 0) {
    return;
  }
  const size_t count = std::min<size_t>(header.sh_size, data->d_size) / header.sh_entsize;
  for (size_t i = 0; i < count && i < INT32_MAX; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
    const int type = GELF_ST_TYPE(symbol.st_info);
    if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_shndx == SHN_UNDEF) continue;
    const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (name == nullptr || *name == '\0') continue;
    const bool sized = symbol.st_size > 0;
    const uint64_t end =
        sized ? symbol.st_value + symbol.st_size : SectionEnd(elf, symbol.st_shndx);
    symbols_.push_back(
        {symbol.st_value, end, name, GELF_ST_BIND(symbol.st_info) == STB_GLOBAL, sized});
  }
}

const char* ElfSymbols::Find(uint64_t address) const {
  auto next = std::upper_bound(symbols_.begin(), symbols_.end(), address,
                               [](uint64_t a, const Symbol& s) { return a < s.start; });
  // A few steps back only: an enclosing symbol may begin before a nested one.
  for (int steps = 0; next != symbols_.begin() && steps < 8; ++steps) {
    --next;
    if (address < next->end) return next->name;
  }
  return nullptr;
}

}  // namespace memtrace
