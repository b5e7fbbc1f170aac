// Linux: the region's file on tmpfs, and small files under /proc.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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

// Makes the folder if it is missing; true when it is ours alone.
static bool PrivateFolder(const char* path) {
  if (mkdir(path, 0700) != 0 && errno != EEXIST) return false;
  struct stat st;
  if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return false;
  return st.st_uid == UserId() && (st.st_mode & 077) == 0;
}

static bool RegionFolder(int choice, char* out, size_t bytes) {
  const char* set = Environment("MEMTRACE_DIR");
  if (set != nullptr && *set != 0) {
    if (choice > 0) return false;  // asked for one place: no other will do
    snprintf(out, bytes, "%s", set);
  } else if (choice == 0) {
    snprintf(out, bytes, "/dev/shm/memtrace-%u", UserId());
  } else {
    const char* tmp = Environment("TMPDIR");
    snprintf(out, bytes, "%s/memtrace-%u", tmp != nullptr && *tmp != 0 ? tmp : "/tmp", UserId());
  }
  return PrivateFolder(out);
}

// A file-size limit would kill the host with SIGXFSZ, an address-space limit would starve it.
static size_t AffordableBytes() {
  size_t bytes = size_t{16} << 30;
  rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < bytes) bytes = limit.rlim_cur;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / 8 < bytes) bytes = limit.rlim_cur / 8;
  return bytes & ~size_t{4095};
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

static bool MapFile(const char* folder, uint64_t process_start, uint32_t* exec_index, size_t bytes,
                    RegionFile* out) {
  const int fd = OpenExclusive(folder, process_start, exec_index, out->path, sizeof out->path);
  if (fd < 0) return false;
  void* base = MAP_FAILED;
  if (ftruncate(fd, static_cast<off_t>(bytes)) == 0) {
    base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  }
  close(fd);
  if (base == MAP_FAILED) {
    unlink(out->path);
    out->path[0] = 0;
    return false;
  }
  madvise(base, bytes, MADV_DONTDUMP);
  out->base = static_cast<char*>(base);
  out->bytes = bytes;
  return true;
}

bool CreateRegionFile(uint64_t process_start, uint32_t* exec_index, RegionFile* out) {
  char folder[384];
  const size_t most = AffordableBytes();
  for (int choice = 0; choice < 2; choice++) {
    if (!RegionFolder(choice, folder, sizeof folder)) continue;
    for (size_t bytes = most; bytes >= (size_t{1} << 20); bytes /= 8) {
      if (MapFile(folder, process_start, exec_index, bytes, out)) return true;
    }
  }
  out->path[0] = 0;
  for (size_t bytes = most; bytes >= (size_t{1} << 20); bytes /= 8) {
    out->base = static_cast<char*>(Reserve(bytes));
    out->bytes = bytes;
    if (out->base != nullptr) return true;
  }
  return false;
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

bool MoveMapping(RegionFile* file, char* base) {
  void* moved = mremap(file->base, file->bytes, file->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, base);
  if (moved == MAP_FAILED) return false;
  file->base = base;
  return true;
}

}  // namespace memtrace::os
