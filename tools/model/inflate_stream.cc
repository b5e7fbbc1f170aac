#include "tools/model/inflate_stream.h"

namespace memtrace {
namespace {

constexpr int kGzipOnly = 15 + 16;  // largest window, gzip header required

}  // namespace

InflateStream::InflateStream(google::protobuf::io::ZeroCopyInputStream* compressed)
    : compressed_(compressed) {
  if (inflateInit2(&zlib_, kGzipOnly) != Z_OK) {
    status_ = absl::ResourceExhaustedError("no memory to decompress it");
  }
}

InflateStream::~InflateStream() { inflateEnd(&zlib_); }

int InflateStream::Fail(const char* what) {
  status_ = absl::InvalidArgumentError(what);
  return -1;
}

bool InflateStream::Refill() {
  const void* bytes = nullptr;
  int size = 0;
  while (size == 0) {
    if (!compressed_->Next(&bytes, &size)) return false;
  }
  consumed_ += size;
  zlib_.next_in = static_cast<Bytef*>(const_cast<void*>(bytes));
  zlib_.avail_in = static_cast<uInt>(size);
  return true;
}

int InflateStream::Read(void* buffer, int size) {
  if (!status_.ok()) return -1;
  zlib_.next_out = static_cast<Bytef*>(buffer);
  zlib_.avail_out = static_cast<uInt>(size);
  while (!finished_ && zlib_.avail_out == static_cast<uInt>(size)) {
    if (zlib_.avail_in == 0 && !Refill()) return Fail("the file ends early");
    const int result = inflate(&zlib_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      finished_ = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return Fail("its compressed bytes are wrong");
    }
  }
  return size - static_cast<int>(zlib_.avail_out);
}

}  // namespace memtrace
