#include "tools/model/whole_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace memtrace {
namespace {

constexpr int kAttempts = 100;

// Leftovers younger than this may be somebody's who is at work where pids are not ours: another
// machine, another container.
constexpr time_t kLeftoverSeconds = 600;

// A write beyond `ulimit -f` raises a signal that kills; ignored, it is the error EFBIG.
class IgnoreFileSizeSignal {
 public:
  IgnoreFileSizeSignal() {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &ignore, &before_);
  }
  ~IgnoreFileSizeSignal() { sigaction(SIGXFSZ, &before_, nullptr); }
  IgnoreFileSizeSignal(const IgnoreFileSizeSignal&) = delete;
  IgnoreFileSizeSignal& operator=(const IgnoreFileSizeSignal&) = delete;

 private:
  struct sigaction before_ = {};
};

const char* Advice(int error) {
  switch (error) {
    case ENOENT:
      return "; make its folder first";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; choose another place with -o";
    case ENOSPC:
    case EDQUOT:
      return "; free space or choose another place with -o";
    case EFBIG:
      return "; raise the limit on the size of files (ulimit -f) or choose another place with -o";
    default:
      return "";
  }
}

absl::Status WithPath(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": cannot write: ", status.message()));
}

absl::Status CannotWrite(const std::string& path, int error) {
  return WithPath(path, WriteError(error));
}

absl::Status Exists(const std::string& path) {
  return absl::AlreadyExistsError(
      absl::StrCat(path, ": already exists; use --force to replace it, or -o for another name"));
}

struct Aside {
  int fd = -1;
  std::string name;  // "": none so far
};

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

std::string PartName(const std::string& path, int attempt) {
  return absl::StrFormat("%s.%d-%d.part", path, getpid(), attempt);
}

// A fresh file in the folder of `path`, without a name if the file system can do that.
Aside OpenAside(const std::string& path) {
  Aside aside;
  aside.fd = open(FolderOf(path).c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  for (int attempt = 0; aside.fd < 0 && attempt < kAttempts; ++attempt) {
    aside.name = PartName(path, attempt);
    aside.fd = open(aside.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (aside.fd < 0 && errno != EEXIST) break;
  }
  return aside;
}

bool LinkNameless(int fd, const std::string& name) {
  return linkat(AT_FDCWD, absl::StrCat("/proc/self/fd/", fd).c_str(), AT_FDCWD, name.c_str(),
                AT_SYMLINK_FOLLOW) == 0;
}

// A name for a file that has none; 0 or the error.
int GiveName(const std::string& path, Aside* aside) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::string name = PartName(path, attempt);
    if (LinkNameless(aside->fd, name)) {
      aside->name = name;
      return 0;
    }
    if (errno != EEXIST) return errno;
  }
  return EEXIST;
}

// The finished file takes its name. Without `replace` a file that appeared meanwhile is kept.
absl::Status Publish(Aside* aside, const std::string& path, bool replace) {
  if (!replace) {
    const bool linked = aside->name.empty() ? LinkNameless(aside->fd, path)
                                            : link(aside->name.c_str(), path.c_str()) == 0;
    if (!linked && errno == EEXIST) return Exists(path);
    if (linked) {
      if (!aside->name.empty()) unlink(aside->name.c_str());
      return absl::OkStatus();
    }
    // File systems without hard links: the check made before has to do.
  }
  if (aside->name.empty()) {
    if (const int error = GiveName(path, aside); error != 0) return CannotWrite(path, error);
  }
  if (rename(aside->name.c_str(), path.c_str()) != 0) return CannotWrite(path, errno);
  return absl::OkStatus();
}

// Whether `name` is BASE.PID-N.part of a process that is gone.
bool IsLeftover(int folder, const std::string& name, const std::string& base) {
  int pid = 0, attempt = 0, end = 0;
  if (name.compare(0, base.size() + 1, base + ".") != 0) return false;
  const char* rest = name.c_str() + base.size() + 1;
  if (std::sscanf(rest, "%d-%d.part%n", &pid, &attempt, &end) != 2 || end == 0) return false;
  struct stat info;
  return rest[end] == '\0' && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH &&
         fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
         info.st_mtime < time(nullptr) - kLeftoverSeconds;
}

void RemoveLeftovers(const std::string& path) {
  const std::string base = path.substr(path.rfind('/') + 1);
  DIR* folder = opendir(FolderOf(path).c_str());
  if (folder == nullptr) return;
  while (const dirent* entry = readdir(folder)) {
    if (IsLeftover(dirfd(folder), entry->d_name, base)) unlinkat(dirfd(folder), entry->d_name, 0);
  }
  closedir(folder);
}

absl::Status WriteDirectly(const std::string& path,
                           const std::function<absl::Status(int fd)>& fill) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return CannotWrite(path, errno);
  absl::Status status = fill(fd);
  close(fd);
  return status.ok() ? status : WithPath(path, status);
}

}  // namespace

absl::Status WriteError(int error) {
  const std::string text = absl::StrCat(std::strerror(error), Advice(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return WriteError(errno);
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
  RemoveLeftovers(path);
  const IgnoreFileSizeSignal ignore;
  Aside aside = OpenAside(path);
  if (aside.fd < 0) return CannotWrite(path, errno);
  absl::Status status = fill(aside.fd);
  if (!status.ok()) status = WithPath(path, status);
  // Network file systems tell of a full disk when the file is closed; those have no nameless files.
  const bool named = !aside.name.empty();
  if (named && close(aside.fd) != 0 && status.ok()) status = CannotWrite(path, errno);
  if (status.ok()) status = Publish(&aside, path, replace);
  if (!named) close(aside.fd);
  if (!status.ok() && !aside.name.empty()) unlink(aside.name.c_str());
  return status;
}

absl::Status WriteWholeFile(const std::string& path, bool replace, absl::string_view content) {
  return WriteWholeFile(path, replace, [content](int fd) { return WriteAll(fd, content); });
}

}  // namespace memtrace
