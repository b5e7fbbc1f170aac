// Linux: keeping the folder of regions from filling, where no `memtrace run` does (core/places.h).

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "core/layout.h"
#include "core/places.h"
#include "interpose/os/linux.h"
#include "interpose/os/os.h"

namespace memtrace::os {
namespace {

constexpr size_t kEntryBytes = 20;  // of tmpfs: what a directory's size grows by for each file
constexpr size_t kLookEvery =
    64;  // processes started, from one look into a crowded folder to the next
constexpr size_t kMostSeen = 8192;  // regions in one look

struct Found {
  uint64_t start;
  int pid;
  uint32_t index;
  bool exited;  // in order, not killed
};

// What a look needs. Memory of its own: the thread's stack may be small.
struct Look {
  alignas(8) char entries[32 * 1024];
  Found found[kMostSeen];
  size_t count;  // of found
  size_t regions;
};

struct Entry {  // linux_dirent64
  uint64_t inode;
  int64_t next;
  uint16_t bytes;
  uint8_t type;
  char name[];
};

// "PID-START-N.region"
bool ParseName(const char* name, Found* out) {
  char* end;
  out->pid = static_cast<int>(strtol(name, &end, 10));
  if (*end != '-' || out->pid <= 0) return false;
  out->start = strtoull(end + 1, &end, 10);
  if (*end != '-') return false;
  out->index = static_cast<uint32_t>(strtoul(end + 1, &end, 10));
  return strcmp(end, ".region") == 0;
}

void WriteName(const Found& region, char* out, size_t bytes) {
  snprintf(out, bytes, "%d-%llu-%u.region", region.pid,
           static_cast<unsigned long long>(region.start), region.index);
}

// Whether nobody has touched it for kKeptSeconds.
bool IsOld(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 &&
         RealNanos() / 1000000000 > static_cast<uint64_t>(info.st_mtim.tv_sec) + kKeptSeconds;
}

// A region of a process that is gone, and that this process can judge: pids of another namespace
// mean nothing here. Or one whose maker did not live to finish it, which says nothing yet.
bool MayGo(int folder, uint32_t our_namespace, Found* region) {
  if (ProcessStartOf(region->pid) == region->start) return false;
  char name[64];
  WriteName(*region, name, sizeof name);
  const int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  uint32_t end = 0, its_namespace = 0;
  uint64_t magic = 0;
  const bool finished = pread(fd, &magic, sizeof magic, 0) == sizeof magic && magic != 0;
  const bool old = !finished && IsOld(fd);
  const bool read = pread(fd, &end, sizeof end, offsetof(Header, end)) == sizeof end &&
                    pread(fd, &its_namespace, sizeof its_namespace,
                          offsetof(Header, pid_namespace)) == sizeof its_namespace;
  close(fd);
  region->exited = end == static_cast<uint32_t>(ProcessEnd::kExited);
  if (!finished) return old;
  return read && its_namespace == our_namespace && our_namespace != 0;
}

// Lists what may go.
void FindEnded(int folder, uint64_t kept_since, Look* look) {
  const uint32_t our_namespace = PidNamespace();
  long bytes;
  while ((bytes = syscall(SYS_getdents64, folder, look->entries, sizeof look->entries)) > 0) {
    for (long at = 0; at < bytes;) {
      const auto* entry = reinterpret_cast<const Entry*>(look->entries + at);
      at += entry->bytes;
      Found region;
      if (!ParseName(entry->name, &region)) continue;
      look->regions++;
      if (look->count == kMostSeen || region.start >= kept_since) continue;
      if (MayGo(folder, our_namespace, &region)) look->found[look->count++] = region;
    }
  }
}

// In an order: what ended in order before what was killed, then by age.
void Remove(int folder, size_t most, Look* look) {
  std::sort(look->found, look->found + look->count, [](const Found& a, const Found& b) {
    return a.exited != b.exited ? a.exited : a.start < b.start;
  });
  const size_t wanted = most - most / 4;
  for (size_t i = 0; i < look->count && look->regions - i > wanted; i++) {
    char name[64];
    WriteName(look->found[i], name, sizeof name);
    unlinkat(folder, name, 0);
  }
}

// run-PID-…, the folder of a `memtrace run` that lives and sees to it itself.
bool IsWatched(const char* folder) {
  const char* name = strrchr(folder, '/');
  if (name == nullptr || strncmp(name, "/run-", 5) != 0) return false;
  const int pid = atoi(name + 5);
  return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

// Regions that a folder may hold before it is looked into; 0: not now.
size_t MostNow(const char* folder) {
  struct stat info;
  struct statfs system;
  if (stat(folder, &info) != 0 || statfs(folder, &system) != 0) return 0;
  const bool half_full = system.f_blocks != 0 && system.f_bavail < system.f_blocks / 2;
  const size_t most = half_full ? kMostRegionsOfHalfFull : kMostRegions;
  if (system.f_type != TMPFS_MAGIC) return ProcessId() % kLookEvery == 0 ? most : 0;
  const size_t entries = static_cast<size_t>(info.st_size) / kEntryBytes;
  return entries >= most && (entries - most) % (kLookEvery / 4) == 0 ? most : 0;
}

}  // namespace

void MakeRoom(const char* folder) {
  const size_t most = MostNow(folder);
  if (most == 0 || IsWatched(folder)) return;
  const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  if (auto* look = static_cast<Look*>(Reserve(sizeof(Look)))) {
    const uint64_t now = BootNanos() / (1000000000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK)));
    const uint64_t age = kKeptSeconds * static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
    const bool hurry = most == kMostRegionsOfHalfFull;
    FindEnded(fd, hurry ? UINT64_MAX : now - std::min(now, age), look);
    if (look->regions >= most) Remove(fd, most, look);
    Release(look, sizeof(Look));
  }
  close(fd);
}

}  // namespace memtrace::os
