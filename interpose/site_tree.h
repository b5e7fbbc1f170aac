// Interning: strings, code objects, frames, stacks (nodes) and sites, each stored once in the
// region and found again through a lock-free index in private memory.
//
// Everything here is off the hot path: it runs when a thread's caches have not seen a frame or a
// site yet. Each function returns an id, or 0 when the region is full.
// Threading: any thread. The caller has set Busy, so a signal handler cannot come in between.

#ifndef MEMTRACE_INTERPOSE_SITE_TREE_H_
#define MEMTRACE_INTERPOSE_SITE_TREE_H_

#include <cstddef>
#include <cstdint>

#include "core/layout.h"
#include "interpose/thread.h"

namespace memtrace {

// scarce: there is little address space (LiveTable::HasFastSlots is false), most of which is the
// program's. False: none at all.
bool InitSiteTree(bool scarce);
// Gives back what InitSiteTree took, when tracing is given up.
void DropSiteTree();
// In a forked child: sites made before belong to the parent; nodes, frames and strings stay.
void ForgetSites();

uint32_t InternString(const char* text, size_t bytes);
uint32_t InternCode(uint32_t filename, uint32_t name, uint32_t first_line, uint64_t table_hash);
uint32_t InternFrame(FrameKind kind, uint32_t owner, uint32_t line, uint64_t address);
uint32_t InternNode(uint32_t parent, uint32_t frame);
// Only after InitNativeNodes.
bool InitNativeNodes();
uint32_t InternNativeNode(uint32_t parent, uint32_t frame);
// The site of this thread at (node, caller frame or native node, domain).
uint32_t InternSite(Thread* t, uint32_t node, uint32_t caller, Domain domain);
// The same for Python's domains, which have no native caller: a table by node instead of an index.
uint32_t InternPythonSite(Thread* t, uint32_t node, Domain domain);
// The same where native stacks are kept: by native node, as long as one has one site only.
uint32_t InternSiteOfStacks(Thread* t, uint32_t node, uint32_t native_node, Domain domain);
void ForgetPythonSites(Thread* t);
// The busy site of the same place, for when the small cell of `site` has no room left. The thread's
// caches learn of it.
uint32_t BusySite(Thread* t, uint32_t site);
SiteRecord* RecordOf(uint32_t site);
// kNone: its thread is just making it.
Domain DomainOf(uint32_t site);
// The site of the same place that a block allocated now would have. 0: it could not be made.
uint32_t SamePlaceNow(Thread* t, uint32_t site);
// No more ids: losses are told apart by it.
bool SiteIdsUsedUp();

// Frame of an instruction of a code object, remembered apart so that a line is decoded once for all
// stacks it appears in. 0: not seen yet.
uint32_t FindInstruction(uint32_t code, uint32_t offset);
void KeepInstruction(uint32_t code, uint32_t offset, uint32_t frame);

// Native frame of a return address: (module, offset), or the bare address. A module that has not
// been looked up yet may be an interpreter.
uint32_t InternNativeFrame(Thread* t, uintptr_t address);
// The same through the thread's cache.
uint32_t NativeFrame(Thread* t, uintptr_t address);

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_SITE_TREE_H_
