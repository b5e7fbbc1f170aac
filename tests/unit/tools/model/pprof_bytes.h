// The bytes of a snapshot file as the message that they are, and the other way round.

#ifndef MEMTRACE_TESTS_UNIT_TOOLS_MODEL_PPROF_BYTES_H_
#define MEMTRACE_TESTS_UNIT_TOOLS_MODEL_PPROF_BYTES_H_

#include <gtest/gtest.h>

#include <string>

#include "profile.pb.h"
#include "tests/unit/tools/model/gzip_bytes.h"

namespace memtrace {

inline pprof::Profile Decoded(const std::string& bytes) {
  pprof::Profile proto;
  EXPECT_TRUE(proto.ParseFromString(Gunzip(bytes)));
  return proto;
}

inline std::string Encoded(const pprof::Profile& proto) { return Gzip(proto.SerializeAsString()); }

}  // namespace memtrace

#endif  // MEMTRACE_TESTS_UNIT_TOOLS_MODEL_PPROF_BYTES_H_
