// Which shared object an address belongs to.
//
// Two tables. A record in the region stands for an object by content (path, build-id, size), not
// for one loading of it: a program that loads and unloads plug-ins for ever, at whatever addresses,
// has as many records as there are plug-ins, and a frame (object, offset) gets its id back. What is
// loaded where right now is private memory, filled by asking the dynamic loader once for each
// object and emptied when anything is unloaded.
//
// Threading: any thread; nobody waits. An answer that was asked for before something was unloaded
// is never kept for the time after. When full: the loader is asked each time.

#ifndef MEMTRACE_INTERPOSE_MODULES_H_
#define MEMTRACE_INTERPOSE_MODULES_H_

#include <cstdint>

namespace memtrace {

bool InitModuleIndex();

struct LoadedModule {
  uint32_t id;     // of its record; 0: the address is in none, or the region is full
  uintptr_t bias;  // of the present loading; the record has that of the first
};

// *met is set when the loader had to be asked: the module may be new.
LoadedModule FindLoadedModule(uintptr_t address, bool* met);
// Something has been unloaded: addresses may come back as other modules.
void ForgetModules();

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_MODULES_H_
