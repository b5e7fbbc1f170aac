// Linux: the region's file on tmpfs, and small files under /proc.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/places.h"
#include "interpose/os/linux.h"
#include "interpose/os/os.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace memtrace::os {

size_t ReadFile(const char* path, char* out, size_t bytes) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  size_t total = 0;
  while (total < bytes) {
    const ssize_t n = read(fd, out + total, bytes - total);
    if (n <= 0) break;
    total += static_cast<size_t>(n);
  }
  close(fd);
  return total;
}

size_t ReadLink(const char* path, char* out, size_t bytes) {
  const ssize_t n = readlink(path, out, bytes);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

size_t WorkingDir(char* out, size_t bytes) { return ReadLink("/proc/self/cwd", out, bytes); }

// Makes the folder if it is missing; 0 when it is ours alone and has room.
static int PrivateFolder(const char* path) {
  if (mkdir(path, 0700) != 0 && errno != EEXIST) return errno;
  struct stat st;
  if (lstat(path, &st) != 0) return errno;
  if (!S_ISDIR(st.st_mode) || st.st_uid != UserId() || (st.st_mode & 077) != 0) return kNotPrivate;
  struct statfs fs;
  // No blocks at all: a file system that does not count them.
  if (statfs(path, &fs) != 0 || fs.f_blocks == 0) return 0;
  return fs.f_bavail * static_cast<uint64_t>(fs.f_bsize) < kLeastRoom ? ENOSPC : 0;
}

int RegionFolder(int place, char* out, size_t bytes) {
  const char* set = Environment("MEMTRACE_DIR");
  const char* tmp = Environment("TMPDIR");
  int length;
  if (set != nullptr && *set != 0) {
    if (place > 0) return ENOENT;  // asked for one place: no other will do
    length = snprintf(out, bytes, "%s", set);
  } else {
    const char* root = tmp != nullptr && *tmp != 0 ? tmp : kTemporary;
    length = snprintf(out, bytes, "%s/memtrace-%u", place == 0 ? kSharedMemory : root, UserId());
  }
  return length >= 0 && static_cast<size_t>(length) < bytes ? 0 : ENAMETOOLONG;
}

static void LimitTo(size_t* bytes, __rlimit_resource resource, size_t share) {
  rlimit limit;
  if (KernelLimit(0, resource, nullptr, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  if (limit.rlim_cur / share < *bytes) *bytes = limit.rlim_cur / share & ~size_t{4095};
}

// A file-size limit would kill the host with SIGXFSZ; limits of address space and of private memory
// would starve it.
static size_t AffordableBytes(bool file) {
  size_t bytes = size_t{16} << 30;
  LimitTo(&bytes, RLIMIT_AS, 16);
  LimitTo(&bytes, file ? RLIMIT_FSIZE : RLIMIT_DATA, file ? 1 : 16);
  return bytes;
}

bool HasRoomToRecord() {
  // A recorder takes 20 MiB, and 6 for each thread, and C libraries want some 70 for a thread's
  // heap and stack: at 128 MiB, Debian's Python could not start a thread beside one.
  constexpr size_t kLeast = size_t{256} << 20;
  size_t bytes = kLeast;
  LimitTo(&bytes, RLIMIT_AS, 1);
  LimitTo(&bytes, RLIMIT_DATA, 1);
  return bytes == kLeast;
}

static int OpenExclusive(const char* folder, uint64_t process_start, uint32_t* exec_index,
                         char* path, size_t bytes) {
  for (; *exec_index < 10000; ++*exec_index) {
    snprintf(path, bytes, "%s/%d-%llu-%u.region", folder, ProcessId(),
             static_cast<unsigned long long>(process_start), *exec_index);
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

// 0, or the errno of what failed.
static int MapFile(const char* folder, uint64_t process_start, uint32_t* exec_index, size_t bytes,
                   RegionFile* out) {
  const int fd = OpenExclusive(folder, process_start, exec_index, out->path, sizeof out->path);
  int error = errno;
  if (fd >= 0) {
    void* base = MAP_FAILED;
    if (ftruncate(fd, static_cast<off_t>(bytes)) == 0) {
      base = KernelMap(bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd);
    }
    error = errno;
    close(fd);
    if (base != MAP_FAILED) {
      madvise(base, bytes, MADV_DONTDUMP);
      CountShared(static_cast<int64_t>(bytes));
      out->base = static_cast<char*>(base);
      out->bytes = bytes;
      return 0;
    }
    unlink(out->path);
  }
  out->path[0] = 0;
  return error;
}

static int CreateInFolder(int place, uint64_t process_start, uint32_t* exec_index,
                          RegionFile* out) {
  char folder[384];
  int error = RegionFolder(place, folder, sizeof folder);
  if (error == 0) error = PrivateFolder(folder);
  if (error != 0) return error;
  MakeRoom(folder);
  error = EFBIG;  // when the limits leave no room for any region
  for (size_t bytes = AffordableBytes(true); bytes >= kLeastRoom; bytes /= 8) {
    error = MapFile(folder, process_start, exec_index, bytes, out);
    if (error == 0) break;
  }
  return error;
}

static bool CreatePrivate(RegionFile* out) {
  out->path[0] = 0;
  for (size_t bytes = AffordableBytes(false); bytes >= kLeastRoom; bytes /= 8) {
    out->base = static_cast<char*>(Reserve(bytes));
    out->bytes = bytes;
    if (out->base != nullptr) return true;
  }
  return false;
}

bool CreateRegionFile(int place, uint64_t process_start, uint32_t* exec_index, RegionFile* out) {
  if (place >= kFolders) return CreatePrivate(out);
  out->refusals[place] = CreateInFolder(place, process_start, exec_index, out);
  return out->refusals[place] == 0;
}

void DropRegionFile(int place, RegionFile* file) {
  if (file->path[0] != 0) {
    unlink(file->path);
    KernelUnmap(file->base, file->bytes);
    CountShared(-static_cast<int64_t>(file->bytes));
  } else {
    Release(file->base, file->bytes);
  }
  file->base = nullptr;
  file->path[0] = 0;
  if (place < kFolders) file->refusals[place] = ENOSPC;
}

// Before Linux 5.14 pages cannot be populated with an error instead of a signal: ask the file.
static bool CommitThroughFile(const RegionFile& file, uint64_t offset, uint64_t bytes) {
  const int fd = open(file.path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0;
  close(fd);
  return ok;
}

bool Commit(const RegionFile& file, uint64_t offset, uint64_t bytes) {
  if (offset + bytes > file.bytes) return false;
  if (file.path[0] == 0) return true;  // private memory: as safe as any of the host's own
  if (madvise(file.base + offset, bytes, MADV_POPULATE_WRITE) == 0) return true;
  return errno == EINVAL && CommitThroughFile(file, offset, bytes);
}

bool MoveMapping(RegionFile* file, const RegionFile& over) {
  if (syscall(SYS_mremap, file->base, file->bytes, file->bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
              over.base) == -1) {
    return false;
  }
  if (over.path[0] != 0) {
    CountShared(-static_cast<int64_t>(over.bytes));
  } else {
    CountRelease(over.bytes);
  }
  file->base = over.base;
  return true;
}

}  // namespace memtrace::os
