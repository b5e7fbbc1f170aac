// An ELF file that is open: a module's own file, or a file with its debug information.
//
// Paths come out of regions and snapshots: nothing but a plain file is opened, and never waited
// for.

#ifndef MEMTRACE_TOOLS_READ_ELF_FILE_H_
#define MEMTRACE_TOOLS_READ_ELF_FILE_H_

#include <elfutils/libdw.h>
#include <libelf.h>

#include <string>

namespace memtrace {

class ElfFile {
 public:
  explicit ElfFile(const std::string& path);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  Elf* elf() const { return elf_; }  // null: there is no such file, or it is no ELF file
  const std::string& path() const { return path_; }
  Dwarf* dwarf();  // null: none
  // Whether dwarf() describes any code: a stripped file has an empty one.
  bool HasUnits();
  std::string BuildId() const;  // in hex; empty: none

 private:
  const std::string path_;
  int fd_ = -1;
  Elf* elf_ = nullptr;
  Dwarf* dwarf_ = nullptr;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_READ_ELF_FILE_H_
