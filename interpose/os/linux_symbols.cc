// Linux: the symbols of one loaded object, read from its own tables. dlsym would not do: it takes
// the loader's lock, which another thread may hold while it waits for a lock of the program's that
// the caller of malloc has.

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "interpose/os/os.h"

namespace memtrace::os {
namespace {

// The loader has put the bias into these addresses, or has not (where the table is read-only).
uintptr_t Address(const Module& module, uintptr_t value) {
  return value < module.bias ? value + module.bias : value;
}

struct Tables {
  const ElfW(Sym) * symbols = nullptr;
  const char* names = nullptr;
  const uint32_t* gnu_hash = nullptr;
  const uint32_t* hash = nullptr;

  explicit Tables(const Module& module) {
    const auto* entry = static_cast<const ElfW(Dyn)*>(module.dynamic);
    for (; entry != nullptr && entry->d_tag != DT_NULL; entry++) {
      const uintptr_t at = Address(module, entry->d_un.d_ptr);
      if (entry->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym)*>(at);
      if (entry->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(at);
      if (entry->d_tag == DT_GNU_HASH) gnu_hash = reinterpret_cast<const uint32_t*>(at);
      if (entry->d_tag == DT_HASH) hash = reinterpret_cast<const uint32_t*>(at);
    }
  }
  bool Is(uint32_t index, const char* name) const {
    const ElfW(Sym)& symbol = symbols[index];
    const int kind = symbol.st_info & 15;
    return symbol.st_shndx != SHN_UNDEF && (kind == STT_FUNC || kind == STT_OBJECT) &&
           strcmp(names + symbol.st_name, name) == 0;
  }
};

// Buckets, each the first of a run of symbols whose last has an odd hash.
const ElfW(Sym) * FindByGnuHash(const Tables& t, const char* name) {
  uint32_t hash = 5381;
  for (const char* c = name; *c != 0; c++) hash = hash * 33 + static_cast<unsigned char>(*c);
  const uint32_t buckets = t.gnu_hash[0], first = t.gnu_hash[1], words = t.gnu_hash[2];
  const uint32_t* bucket = t.gnu_hash + 4 + words * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
  uint32_t i = buckets != 0 ? bucket[hash % buckets] : 0;
  if (i < first || i == 0) return nullptr;
  for (;; i++) {
    const uint32_t other = bucket[buckets + i - first];
    if ((other | 1) == (hash | 1) && t.Is(i, name)) return t.symbols + i;
    if ((other & 1) != 0) return nullptr;
  }
}

// The old table is only asked how many symbols there are.
const ElfW(Sym) * FindByName(const Tables& t, const char* name) {
  for (uint32_t i = 1; i < t.hash[1]; i++) {
    if (t.Is(i, name)) return t.symbols + i;
  }
  return nullptr;
}

}  // namespace

void* ModuleSymbol(const Module& module, const char* name, size_t* bytes) {
  const Tables tables(module);
  if (tables.symbols == nullptr || tables.names == nullptr) return nullptr;
  const ElfW(Sym)* found = nullptr;
  if (tables.gnu_hash != nullptr) {
    found = FindByGnuHash(tables, name);
  } else if (tables.hash != nullptr) {
    found = FindByName(tables, name);
  }
  if (found == nullptr) return nullptr;
  if (bytes != nullptr) *bytes = found->st_size;
  return reinterpret_cast<void*>(module.bias + found->st_value);
}

bool KeepLoaded(const Module& module) {
  const bool kept = dlopen(module.path, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) != nullptr;
  if (!kept) {
    dlerror();
    dlerror();
  }
  return kept;
}

}  // namespace memtrace::os
