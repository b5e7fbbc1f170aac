// gzip for tests, by protobuf's streams: what makes and opens it must not be the code under test.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_MODEL_GZIP_BYTES_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_MODEL_GZIP_BYTES_H_

#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace memtrace {

inline std::string Gunzip(const std::string& bytes) {
  google::protobuf::io::ArrayInputStream in(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::GzipInputStream gunzip(&in);
  std::string out;
  const void* chunk;
  int size;
  while (gunzip.Next(&chunk, &size)) out.append(static_cast<const char*>(chunk), size);
  return out;
}

inline std::string Gzip(const std::string& content, int level = 6) {
  std::string bytes;
  google::protobuf::io::StringOutputStream out(&bytes);
  google::protobuf::io::GzipOutputStream::Options options;
  options.compression_level = level;
  google::protobuf::io::GzipOutputStream gzip(&out, options);
  void* chunk;
  int size;
  size_t done = 0;
  while (done < content.size() && gzip.Next(&chunk, &size)) {
    const size_t take = std::min(content.size() - done, static_cast<size_t>(size));
    std::memcpy(chunk, content.data() + done, take);
    if (take < static_cast<size_t>(size)) gzip.BackUp(size - static_cast<int>(take));
    done += take;
  }
  gzip.Close();
  return bytes;
}

}  // namespace memtrace

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_MODEL_GZIP_BYTES_H_
