// Linux: which loaded object an address belongs to.

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "interpose/os/os.h"

namespace memtrace::os {
namespace {

constexpr uint32_t kGnuBuildId = 3;

void ReadBuildId(uintptr_t bias, const ElfW(Phdr) * headers, int count, Module* out) {
  for (int i = 0; i < count; i++) {
    if (headers[i].p_type != PT_NOTE) continue;
    const char* p = reinterpret_cast<const char*>(bias + headers[i].p_vaddr);
    const char* end = p + headers[i].p_memsz;
    while (p + sizeof(ElfW(Nhdr)) <= end) {
      const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(p);
      const char* name = p + sizeof *note;
      const char* description = name + ((note->n_namesz + 3) & ~3u);
      if (note->n_type == kGnuBuildId && note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
        out->build_id_bytes = note->n_descsz < sizeof out->build_id
                                  ? note->n_descsz
                                  : static_cast<uint32_t>(sizeof out->build_id);
        memcpy(out->build_id, description, out->build_id_bytes);
        return;
      }
      p = description + ((note->n_descsz + 3) & ~3u);
    }
  }
}

void Fill(uintptr_t bias, const char* name, const ElfW(Phdr) * headers, int count, Module* out) {
  uintptr_t low = ~uintptr_t{0}, high = 0;
  for (int i = 0; i < count; i++) {
    if (headers[i].p_type != PT_LOAD) continue;
    const uintptr_t start = bias + headers[i].p_vaddr;
    if (start < low) low = start;
    if (start + headers[i].p_memsz > high) high = start + headers[i].p_memsz;
  }
  out->start = low;
  out->end = high;
  out->bias = bias;
  if (name == nullptr || *name == 0) {  // the executable
    const size_t n = ReadLink("/proc/self/exe", out->path, sizeof out->path - 1);
    out->path[n] = 0;
  } else {
    snprintf(out->path, sizeof out->path, "%s", name);
  }
  ReadBuildId(bias, headers, count, out);
}

struct Search {
  uintptr_t address;
  Module* out;
};

int Visit(dl_phdr_info* info, size_t, void* argument) {
  auto* search = static_cast<Search*>(argument);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& h = info->dlpi_phdr[i];
    const uintptr_t start = info->dlpi_addr + h.p_vaddr;
    if (h.p_type == PT_LOAD && search->address >= start && search->address < start + h.p_memsz) {
      Fill(info->dlpi_addr, info->dlpi_name, info->dlpi_phdr, info->dlpi_phnum, search->out);
      return 1;
    }
  }
  return 0;
}

}  // namespace

// dl_iterate_phdr waits for a dlopen under way in another thread; that one never waits for us,
// since the recorder holds no lock here.
bool FindModule(uintptr_t address, Module* out) {
  Search search{address, out};
  return dl_iterate_phdr(Visit, &search) == 1;
}

}  // namespace memtrace::os
