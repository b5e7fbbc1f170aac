#include "tools/model/read_budget.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>

#include "profile.pb.h"

namespace memtrace {
namespace {

namespace pb = google::protobuf;
using pb::internal::WireFormatLite;

// A number in a message: a field of it, or one that the decoder does not know and keeps.
constexpr int64_t kScalar = 64;
// A text or a message: its object, its place in an array that doubles, and the model's own.
constexpr int64_t kObject = 420;
constexpr int64_t kProcess = 3000;

enum class Kind { kExtension, kProcess, kColumns, kTimeline, kLedger, kLedgerPart, kEntry, kText };

// What a field that has a length is.
Kind KindOf(Kind outer, int field) {
  if (outer == Kind::kExtension) {
    if (field == pprof::Extension::kProcessFieldNumber) return Kind::kProcess;
    if (field == pprof::Extension::kColumnsFieldNumber) return Kind::kColumns;
    if (field == pprof::Extension::kSourceLineFieldNumber) return Kind::kEntry;
  }
  if (outer == Kind::kProcess) {
    if (field == pprof::Process::kTimelineFieldNumber) return Kind::kTimeline;
    if (field == pprof::Process::kThreadFieldNumber) return Kind::kEntry;
    if (field == pprof::Process::kLossFieldNumber) return Kind::kEntry;
    if (field == pprof::Process::kModuleFieldNumber) return Kind::kEntry;
    if (field == pprof::Process::kFiguresFieldNumber) return Kind::kEntry;
    if (field == pprof::Process::kLedgerFieldNumber) return Kind::kLedger;
  }
  if (outer == Kind::kLedger) {
    if (field == pprof::Ledger::kPartFieldNumber) return Kind::kLedgerPart;
    if (field == pprof::Ledger::kPinFieldNumber) return Kind::kEntry;
  }
  if (outer == Kind::kLedgerPart && field == pprof::LedgerPart::kItemFieldNumber) {
    return Kind::kEntry;
  }
  return Kind::kText;
}

// A packed array: each number ends with a byte below 0x80. While the decoder's array doubles it
// takes three times the numbers, and the model may have a copy.
int64_t ArrayCost(Kind outer, int field, absl::string_view bytes) {
  int64_t each = 8;
  if (outer == Kind::kColumns && field != pprof::Columns::kTemporaryObjectsFieldNumber &&
      field != pprof::Columns::kTemporaryBytesFieldNumber) {
    each = field == pprof::Columns::kHasCallerFieldNumber ? 1 : 4;
  }
  const auto numbers = std::count_if(bytes.begin(), bytes.end(),
                                     [](char c) { return static_cast<uint8_t>(c) < 0x80; });
  return numbers * each * (outer == Kind::kColumns ? 3 : 8);
}

int64_t Cost(Kind kind, absl::string_view bytes) {
  int64_t cost = kind == Kind::kProcess ? kProcess : kObject;
  if (kind == Kind::kText) return cost + ReadCost::kTextByte * static_cast<int64_t>(bytes.size());
  pb::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                              static_cast<int>(bytes.size()));
  // What cannot be decoded here is an error there, too.
  while (const uint32_t tag = in.ReadTag()) {
    const auto type = WireFormatLite::GetTagWireType(tag);
    if (type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      uint32_t length;
      if (!in.ReadVarint32(&length)) break;
      const int field = WireFormatLite::GetTagFieldNumber(tag);
      const absl::string_view piece = bytes.substr(in.CurrentPosition(), length);
      if (kind == Kind::kColumns || kind == Kind::kTimeline) cost += ArrayCost(kind, field, piece);
      cost += Cost(KindOf(kind, field), piece);
      if (piece.size() < length || !in.Skip(static_cast<int>(length))) break;
    } else if (type == WireFormatLite::WIRETYPE_START_GROUP ||
               type == WireFormatLite::WIRETYPE_END_GROUP) {
      cost += kObject;  // its fields are counted as the message's
    } else {
      cost += kScalar;
      if (!WireFormatLite::SkipField(&in, tag)) break;
    }
  }
  return cost;
}

}  // namespace

absl::Status ReadBudget::Exceeded() {
  return absl::InvalidArgumentError(
      "reading it would take far more memory than a snapshot of its size needs");
}

int64_t ExtensionCost(absl::string_view bytes) { return Cost(Kind::kExtension, bytes); }

}  // namespace memtrace
