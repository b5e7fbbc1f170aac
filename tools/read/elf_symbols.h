// The function symbols of one ELF file, sorted for look-up by address.
//
// Reads .symtab, or .dynsym where the file is stripped; the text of the names stays in the file's
// own mapping until it is asked for. Lives no longer than the Elf it was made from.

#ifndef MEMTRACE_TOOLS_READ_ELF_SYMBOLS_H_
#define MEMTRACE_TOOLS_READ_ELF_SYMBOLS_H_

#include <libelf.h>

#include <cstdint>
#include <vector>

namespace memtrace {

class ElfSymbols {
 public:
  void Load(Elf* elf);
  bool empty() const { return symbols_.empty(); }
  // Name of the function that holds the address, or null.
  const char* Find(uint64_t address) const;

 private:
  struct Symbol {
    uint64_t start;
    uint64_t end;
    const char* name;
    bool global;
    bool sized;  // else it reaches up to the next one in its section
  };
  void LoadTable(Elf* elf, Elf_Scn* section);

  std::vector<Symbol> symbols_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_ELF_SYMBOLS_H_
