// The operating system, as the recorder needs it: memory, identity, clocks, modules, messages.
//
// One file per system implements it (os/linux.cc); nothing else in interpose/ makes a system call.
// Every function may be called inside an allocation hook: none allocates, throws or takes a lock of
// ours. They may change errno: callers on the slow path save it.

#ifndef MEMTRACE_INTERPOSE_OS_OS_H_
#define MEMTRACE_INTERPOSE_OS_OS_H_

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>

namespace memtrace::os {

// Whether the program's C library is the one that this library is made for.
bool IsGlibc();

// Whether the limits of memory (ulimit -v and -d) leave room for a recorder beside the program.
bool HasRoomToRecord();

// Private zeroed memory that costs nothing until it is touched: no swap reservation, no huge pages,
// not in core dumps. nullptr when refused.
// Not at the cost of limits that the program has set itself.
void* Reserve(size_t bytes);
void Release(void* memory, size_t bytes);
// Makes touched pages of reserved memory read as zero again and gives them back.
void Discard(void* memory, size_t bytes);

// prlimit as the program means it: limits of address space and private memory are for its own
// memory. own_memory: this process owns the memory it runs in (it has not just been forked).
int Limit(int pid, int resource, const rlimit* wanted, rlimit* old, bool own_memory);
// At the start: a limit that was enlarged for the program before exec is put right.
void RestoreInheritedLimits();
// In a forked child, around making a region of its own: gives up what keeps the limits exact, and
// takes it again.
void SuspendFillers();
void ResumeFillers();

uint64_t PageBytes();

// mlockall; only_touched: pages are locked when they are touched for the first time.
int LockAll(int flags, bool only_touched);

// One page that reads as zero in a forked child, whichever way it was forked. nullptr: refused.
void* MapWipedInChild();
// Makes one page of Reserve'd memory such a page.
void WipeInChild(void* page);

// Where a region may be, in the order of trying (core/places.h): the folder wanted, the one that
// comes next, private memory.
inline constexpr int kFolders = 2;
inline constexpr int kPlaces = kFolders + 1;
inline constexpr int kNotPrivate = -1;  // a refusal that is no errno: a folder open to others

// The live region's file: created exclusively, owner only, `bytes` long and sparse.
struct RegionFile {
  char* base = nullptr;  // mapped shared, or private when `path` is empty
  size_t bytes = 0;
  char path[512] = {};
  int refusals[kFolders] = {};  // why each folder tried was not used: errno or kNotPrivate
};
// The name of a folder; 0, or why there is none: ENOENT (no such place), ENAMETOOLONG.
int RegionFolder(int place, char* out, size_t bytes);
// Creates the next free exec_index of this process in that place. False: `refusals` says why.
bool CreateRegionFile(int place, uint64_t process_start, uint32_t* exec_index, RegionFile* out);
// Takes back what CreateRegionFile made, for want of room in it.
void DropRegionFile(int place, RegionFile* file);
// Backs [offset, offset + bytes) with memory, so that a later store cannot raise SIGBUS.
bool Commit(const RegionFile& file, uint64_t offset, uint64_t bytes);
// Replaces the mapping of `over`, as long, by `file`'s, which moves there.
bool MoveMapping(RegionFile* file, const RegionFile& over);

// Where libc keeps the thread-specific values of small keys, as seen from __builtin_thread_pointer:
// the value of key k is at + k * kSpecificStride. 0: not found, ask pthread_getspecific.
inline constexpr unsigned kSpecificKeys = 32;
inline constexpr int kSpecificStride = 16;
int FindSpecific();

void Yield();  // lets other threads run
void Nap();    // the same for 100 microseconds
// Keeps all signals from this thread until they are restored. A set that was refused is empty.
using SignalSet = uint64_t;
SignalSet BlockSignals();
void RestoreSignals(SignalSet before);
int ProcessId();
int ParentProcessId();
uint32_t UserId();
int ThreadId();
bool ThreadAlive(int tid);  // a thread of this process
void ThreadName(char* out, size_t bytes);
uint32_t PidNamespace();  // where pids mean something: an inode number; 0: unknown
uint64_t ProcessStart();  // field 22 of /proc/self/stat; 0: unknown

uint64_t BootNanos();
uint64_t CoarseNanos();  // monotonic, cheap, a few ms of resolution
uint64_t RealNanos();

// Reads a small file or link into out; bytes read, 0 on failure.
size_t ReadFile(const char* path, char* out, size_t bytes);
size_t ReadLink(const char* path, char* out, size_t bytes);
size_t WorkingDir(char* out, size_t bytes);

// Which of the pages from `start` on exist, in memory or swapped out: a bit each in `bits`. False:
// not to be known.
bool TouchedPages(uintptr_t start, size_t pages, uint64_t* bits);

// Copies from an address that may not be mapped. False: not readable (or not allowed to ask).
bool SafeRead(const void* from, void* to, size_t bytes);

struct Module {
  uintptr_t start = 0;
  uintptr_t end = 0;
  uintptr_t bias = 0;
  char path[1024] = {};
  uint8_t build_id[24] = {};
  uint32_t build_id_bytes = 0;
  const void* dynamic = nullptr;  // its own account of itself, for ModuleSymbol
};
// Once, before FindModule and before there is a second thread.
void InitModules();
// The loaded object that holds the address. False: none (JIT code, anonymous memory).
bool FindModule(uintptr_t address, Module* out);

// Header of the module's call frame information (.eh_frame_hdr); nullptr: none, or in no module.
const void* UnwindTable(uintptr_t address);

// Whether the address is the dynamic loader's own.
bool IsInLoader(uintptr_t address);

// The definition that comes after ours in the search order, nullptr: none.
void* NextSymbol(const char* name);
// Any visible definition.
void* AnySymbol(const char* name);
// Whether one address's module is before the other's in the order in which symbols are looked up:
// of libraries that were there when the program started.
bool ComesBefore(const void* one, const void* other);
// Whether a function is glibc's own.
bool IsLibcFunction(const void* function);

// What a module itself defines and shows, also where it was loaded for one user alone (RTLD_LOCAL);
// nullptr: nothing of this name. *bytes (optional): the size of a data object. Takes no lock; the
// module must stay loaded meanwhile.
void* ModuleSymbol(const Module& module, const char* name, size_t* bytes = nullptr);
// From now on the module is never unloaded, whoever closes it. False: it is not there.
bool KeepLoaded(const Module& module);

// "memtrace: <text>\n" on standard error, unless MEMTRACE_QUIET is set. Never blocks for long.
void Say(const char* text);

const char* Environment(const char* name);  // nullptr: not set
bool IsSet(const char* name);               // to anything but nothing and "0"

}  // namespace memtrace::os

#endif  // MEMTRACE_INTERPOSE_OS_OS_H_
