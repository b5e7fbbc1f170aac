#include "tools/model/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace memtrace {
namespace {

absl::Status CannotWrite(const std::string& path, int error) {
  std::string advice;
  if (error == ENOENT) advice = "; make its folder first";
  if (error == EACCES || error == EPERM || error == EROFS)
    advice = "; choose another place with -o";
  if (error == ENOSPC || error == EDQUOT) advice = "; free space or choose another place with -o";
  const std::string text =
      absl::StrFormat("%s: cannot write: %s%s", path, std::strerror(error), advice);
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

absl::Status Exists(const std::string& path) {
  return absl::AlreadyExistsError(
      absl::StrCat(path, ": already exists; use --force to replace it, or -o for another name"));
}

// A fresh file next to `path`; its name in *name.
int OpenAside(const std::string& path, std::string* name) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    *name = absl::StrFormat("%s.%d-%d.part", path, getpid(), attempt);
    const int fd = open(name->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

// Gives the finished file its name. Without `replace` a file that appeared meanwhile is kept.
absl::Status Publish(const std::string& aside, const std::string& path, bool replace) {
  if (!replace) {
    if (link(aside.c_str(), path.c_str()) == 0) {
      unlink(aside.c_str());
      return absl::OkStatus();
    }
    if (errno == EEXIST) return Exists(path);
    // File systems without hard links: the check made before has to do.
  }
  if (rename(aside.c_str(), path.c_str()) != 0) return CannotWrite(path, errno);
  return absl::OkStatus();
}

absl::Status WriteDirectly(const std::string& path,
                           const std::function<absl::Status(int fd)>& fill) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return CannotWrite(path, errno);
  absl::Status status = fill(fd);
  close(fd);
  return status;
}

}  // namespace

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return absl::UnavailableError(std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(done));
  }
  return absl::OkStatus();
}

absl::Status WriteWholeFile(const std::string& path, bool replace,
                            const std::function<absl::Status(int fd)>& fill) {
  if (path.empty()) return absl::InvalidArgumentError("no file name given");
  if (path == "-") return fill(STDOUT_FILENO);
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return CannotWrite(path, EISDIR);
    if (!S_ISREG(info.st_mode)) return WriteDirectly(path, fill);
    if (!replace) return Exists(path);
  }
  std::string aside;
  const int fd = OpenAside(path, &aside);
  if (fd < 0) return CannotWrite(path, errno);
  absl::Status status = fill(fd);
  if (!status.ok())
    status = absl::Status(status.code(), absl::StrCat(path, ": cannot write: ", status.message()));
  if (close(fd) != 0 && status.ok()) status = CannotWrite(path, errno);
  if (status.ok()) status = Publish(aside, path, replace);
  if (!status.ok()) unlink(aside.c_str());
  return status;
}

absl::Status WriteWholeFile(const std::string& path, bool replace, absl::string_view content) {
  return WriteWholeFile(path, replace, [content](int fd) { return WriteAll(fd, content); });
}

}  // namespace memtrace
