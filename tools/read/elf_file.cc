#include "tools/read/elf_file.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace memtrace {

ElfFile::ElfFile(const std::string& path) : path_(path) {
  elf_version(EV_CURRENT);
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat info;
  if (fd_ < 0 || fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) return;
  elf_ = elf_begin(fd_, ELF_C_READ_MMAP, nullptr);
  if (elf_ != nullptr && elf_kind(elf_) != ELF_K_ELF) {
    elf_end(elf_);
    elf_ = nullptr;
  }
}

ElfFile::~ElfFile() {
  if (dwarf_ != nullptr) dwarf_end(dwarf_);
  if (elf_ != nullptr) elf_end(elf_);
  if (fd_ >= 0) close(fd_);
}

Dwarf* ElfFile::dwarf() {
  if (dwarf_ == nullptr && elf_ != nullptr) dwarf_ = dwarf_begin_elf(elf_, DWARF_C_READ, nullptr);
  return dwarf_;
}

bool ElfFile::HasUnits() {
  Dwarf_CU* unit = nullptr;
  return dwarf() != nullptr &&
         dwarf_get_units(dwarf_, nullptr, &unit, nullptr, nullptr, nullptr, nullptr) == 0;
}

std::string ElfFile::BuildId() const {
  const void* bits = nullptr;
  const ssize_t size = elf_ == nullptr ? 0 : dwelf_elf_gnu_build_id(elf_, &bits);
  if (size <= 0) return "";
  return absl::BytesToHexString(
      absl::string_view(static_cast<const char*>(bits), static_cast<size_t>(size)));
}

}  // namespace memtrace
