#include "interpose/say_place.h"

#include <errno.h>
#include <stdio.h>

namespace memtrace {
namespace {

const char* Reason(int refusal) {
  switch (refusal) {
    case os::kNotPrivate:
      return "it is not a folder of yours with mode 0700";
    case ENOSPC:
    case EDQUOT:
      return "no room is left there";
    case EROFS:
      return "it is read-only";
    case ENOENT:
    case ENOTDIR:
      return "there is no such folder";
    case EACCES:
    case EPERM:
      return "it may not be written to";
    case ENAMETOOLONG:
      return "its name is too long";
    case EFBIG:
      return "the limit of file sizes is too low, see ulimit -f";
    default:
      return "the system refuses";
  }
}

// A folder's name for a message; what is too long is cut.
struct Folder {
  explicit Folder(int place) { os::RegionFolder(place, name, sizeof name); }
  char name[200] = {};
};

void SayPrivate(const os::RegionFile& file) {
  const char* set = os::Environment("MEMTRACE_DIR");
  char line[700];
  if (set != nullptr && *set != 0) {
    snprintf(line, sizeof line,
             "MEMTRACE_DIR=%.300s cannot hold the live region (%s; it must be a folder of yours "
             "with mode 0700 and room in it): the region is in private memory, no snapshot can be "
             "taken",
             set, Reason(file.refusals[0]));
  } else {
    snprintf(line, sizeof line,
             "no folder for the live region (%s: %s; %s: %s): it is in private memory, no snapshot "
             "can be taken; set MEMTRACE_DIR to a folder of yours with mode 0700",
             Folder(0).name, Reason(file.refusals[0]), Folder(1).name, Reason(file.refusals[1]));
  }
  os::Say(line);
}

}  // namespace

void SayPlace(const os::RegionFile& file) {
  if (file.path[0] == 0) return SayPrivate(file);
  if (file.refusals[0] == 0) return;
  char line[700];
  snprintf(line, sizeof line, "%s cannot hold the live region (%s): it is in %s", Folder(0).name,
           Reason(file.refusals[0]), Folder(1).name);
  os::Say(line);
}

}  // namespace memtrace
