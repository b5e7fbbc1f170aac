// A gzip file as a stream of bytes, for input that nobody vouches for.
//
// protobuf's own GzipInputStream takes a file that ends early for a complete one. This one tells a
// complete file (its checksum matched) from a truncated or damaged one, and says how much of it was
// read so far. What its content may cost is the reader's business (tools/model/read_budget.h).

#ifndef MEMTRACE_TOOLS_MODEL_INFLATE_STREAM_H_
#define MEMTRACE_TOOLS_MODEL_INFLATE_STREAM_H_

#include <google/protobuf/io/zero_copy_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <zlib.h>

#include <cstdint>

#include "absl/status/status.h"

namespace memtrace {

class InflateStream : public google::protobuf::io::CopyingInputStream {
 public:
  explicit InflateStream(google::protobuf::io::ZeroCopyInputStream* compressed);
  ~InflateStream() override;
  InflateStream(const InflateStream&) = delete;
  InflateStream& operator=(const InflateStream&) = delete;

  int Read(void* buffer, int size) override;

  // OK while nothing went wrong. `Finished` after the checksum has been verified.
  const absl::Status& status() const { return status_; }
  bool Finished() const { return finished_; }
  // Compressed bytes.
  const int64_t* consumed() const { return &consumed_; }

 private:
  int Fail(const char* what);
  bool Refill();

  google::protobuf::io::ZeroCopyInputStream* compressed_;
  int64_t consumed_ = 0;
  bool finished_ = false;
  z_stream zlib_{};
  absl::Status status_;
};

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_INFLATE_STREAM_H_
