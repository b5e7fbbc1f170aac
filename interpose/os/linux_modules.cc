// Linux: which loaded object an address belongs to.

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

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
    const uintptr_t start = bias + headers[i].p_vaddr;
    if (headers[i].p_type == PT_DYNAMIC) out->dynamic = reinterpret_cast<const void*>(start);
    if (headers[i].p_type != PT_LOAD) continue;
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

// As in glibc's dlfcn.h since 2.35; declared here so that an older one can build it.
struct FoundObject {
  unsigned long long flags;
  void* map_start;
  void* map_end;
  struct link_map* map;
  void* eh_frame;
  unsigned long long reserved[7];
};
using FindObject = int (*)(void*, FoundObject*);
constinit FindObject g_find_object = nullptr;

// The unwinder of libgcc, which is linked in for Boost.Stacktrace, asks for this function by name:
// C libraries that lack it would not load us at all.
extern "C" {
__attribute__((visibility("hidden"), used)) int FindObjectForUnwinder(
    void* address, FoundObject* found) __asm__("_dl_find_object");
int FindObjectForUnwinder(void* address, FoundObject* found) {
  return g_find_object != nullptr ? g_find_object(address, found) : -1;
}
}

bool FindWithoutLock(uintptr_t address, Module* out) {
  FoundObject found;
  if (g_find_object(reinterpret_cast<void*>(address), &found) != 0) return false;
  const auto* elf = static_cast<const ElfW(Ehdr)*>(found.map_start);
  if (memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0) return false;
  const auto* headers =
      reinterpret_cast<const ElfW(Phdr)*>(static_cast<const char*>(found.map_start) + elf->e_phoff);
  Fill(found.map->l_addr, found.map->l_name, headers, elf->e_phnum, out);
  return true;
}

struct TableSearch {
  uintptr_t address;
  const void* table;
};

int VisitTables(dl_phdr_info* info, size_t, void* argument) {
  auto* search = static_cast<TableSearch*>(argument);
  const void* table = nullptr;
  bool holds = false;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& h = info->dlpi_phdr[i];
    const uintptr_t start = info->dlpi_addr + h.p_vaddr;
    if (h.p_type == PT_GNU_EH_FRAME) table = reinterpret_cast<const void*>(start);
    holds = holds || (h.p_type == PT_LOAD && search->address - start < h.p_memsz);
  }
  if (holds) search->table = table;
  return holds;
}

}  // namespace

const void* UnwindTable(uintptr_t address) {
  if (g_find_object != nullptr) {
    FoundObject found;
    return g_find_object(reinterpret_cast<void*>(address), &found) == 0 ? found.eh_frame : nullptr;
  }
  TableSearch search{address, nullptr};
  dl_iterate_phdr(VisitTables, &search);
  return search.table;
}

bool IsInLoader(uintptr_t address) {
  Module loader;
  const uintptr_t base = getauxval(AT_BASE);
  return base != 0 && FindModule(base, &loader) &&
         address - loader.start < loader.end - loader.start;
}

namespace {

struct Order {
  uintptr_t addresses[2];
  int first;  // which of them was met first; -1: none yet
};

int VisitInOrder(dl_phdr_info* info, size_t, void* argument) {
  auto* order = static_cast<Order*>(argument);
  for (int which = 0; which < 2; which++) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
      const ElfW(Phdr)& h = info->dlpi_phdr[i];
      const uintptr_t start = info->dlpi_addr + h.p_vaddr;
      if (h.p_type == PT_LOAD && order->addresses[which] - start < h.p_memsz) order->first = which;
    }
    if (order->first >= 0) return 1;
  }
  return 0;
}

}  // namespace

bool ComesBefore(const void* one, const void* other) {
  Order order = {{reinterpret_cast<uintptr_t>(one), reinterpret_cast<uintptr_t>(other)}, -1};
  dl_iterate_phdr(VisitInOrder, &order);
  return order.first == 0;
}

void InitModules() { g_find_object = reinterpret_cast<FindObject>(AnySymbol("_dl_find_object")); }

// glibc's lock-free lookup. dl_iterate_phdr, all there is before 2.35, takes the loader's lock, and
// a child forked while another thread held it would wait for ever.
bool IsLibcFunction(const void* function) {
  const void* libc = AnySymbol("gnu_get_libc_version");
  Module a, b;
  return libc != nullptr && FindModule(reinterpret_cast<uintptr_t>(libc), &a) &&
         FindModule(reinterpret_cast<uintptr_t>(function), &b) && a.start == b.start;
}

bool FindModule(uintptr_t address, Module* out) {
  if (g_find_object != nullptr) return FindWithoutLock(address, out);
  Search search{address, out};
  return dl_iterate_phdr(Visit, &search) == 1;
}

}  // namespace memtrace::os
