// Snapshot file -> profile: opening, decompressing, and what to say when it is none.

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/model/inflate_stream.h"
#include "tools/model/snapshot_file.h"
#include "tools/model/snapshot_raw.h"

namespace memtrace {
namespace {

namespace pb = google::protobuf;

bool LooksLikeGzip(pb::io::ZeroCopyInputStream* in) {
  const void* bytes;
  int size;
  if (!in->Next(&bytes, &size)) return false;
  const bool gzip = size >= 2 && std::memcmp(bytes, "\x1f\x8b", 2) == 0;
  in->BackUp(size);
  return gzip;
}

absl::StatusOr<Profile> ReadFrom(pb::io::ZeroCopyInputStream* compressed, const std::string& path,
                                 const ReadOptions& options) {
  if (!LooksLikeGzip(compressed)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a memtrace snapshot (it is not compressed with gzip)"));
  }
  InflateStream inflate(compressed);
  pb::io::CopyingInputStreamAdaptor adaptor(&inflate);
  pb::io::CodedInputStream coded(&adaptor);
  coded.SetTotalBytesLimit(INT_MAX);
  ReadBudget budget(inflate.consumed());
  absl::StatusOr<RawProfile> raw = ReadRawProfile(&coded, options, &budget);
  absl::Status status = raw.status();
  const bool early = raw.ok() && options.header_only && raw->header.has_value();
  if (!inflate.status().ok()) {
    status = inflate.status();
  } else if (status.ok() && !early && !inflate.Finished()) {
    status = absl::InvalidArgumentError("it is larger than 2 GiB, or ends early");
  }
  if (status.ok()) {
    absl::StatusOr<Profile> profile = BuildProfile(*raw, options, &budget);
    if (profile.ok()) return profile;
    status = profile.status();
  }
  if (status.code() == absl::StatusCode::kUnimplemented) {
    return absl::UnimplementedError(absl::StrCat(path, ": ", status.message()));
  }
  return absl::Status(
      status.code(),
      absl::StrCat(path, ": not a memtrace snapshot, or a damaged one (", status.message(), ")"));
}

absl::Status CannotOpen(const std::string& path, int error) {
  const std::string text = absl::StrFormat("%s: cannot read: %s", path, std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == EACCES) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

}  // namespace

absl::StatusOr<Profile> ReadSnapshotFile(const std::string& path, const ReadOptions& options) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return CannotOpen(path, errno);
  pb::io::FileInputStream file(fd);
  file.SetCloseOnDelete(true);
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) return CannotOpen(path, EISDIR);
  absl::StatusOr<Profile> profile = ReadFrom(&file, path, options);
  if (file.GetErrno() != 0) return CannotOpen(path, file.GetErrno());
  return profile;
}

absl::StatusOr<Profile> ReadSnapshotBytes(const std::string& bytes, const ReadOptions& options) {
  pb::io::ArrayInputStream in(bytes.data(), static_cast<int>(bytes.size()));
  return ReadFrom(&in, "snapshot", options);
}

}  // namespace memtrace
