// Stream of a snapshot file -> RawProfile.

#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <climits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/model/snapshot_raw.h"

namespace memtrace {
namespace {

namespace pb = google::protobuf;
using pb::internal::WireFormatLite;

absl::Status Damaged(absl::string_view what) { return absl::InvalidArgumentError(what); }

// More sample types than any profiler has.
constexpr size_t kMaxSampleTypes = 64;

// Buffers that were needed once are given back when they are larger than this.
constexpr size_t kKeptBuffer = 16 * 1024;

class StreamReader {
 public:
  StreamReader(pb::io::CodedInputStream* in, const ReadOptions& options, ReadBudget* budget)
      : in_(in), options_(options), budget_(budget) {}

  absl::Status Read() {
    while (const uint32_t tag = in_->ReadTag()) {
      absl::Status status = ReadField(tag);
      if (!status.ok()) return status;
      if (options_.header_only && raw_.header.has_value()) return absl::OkStatus();
    }
    if (!in_->ConsumedEntireMessage()) return Damaged("a field is cut short");
    return absl::OkStatus();
  }

  RawProfile& raw() { return raw_; }

 private:
  // Each field is charged for, that of an unknown one as well: else a file of 2 MB could hold 2 GB
  // of them.
  absl::Status ReadField(uint32_t tag) {
    if (absl::Status s = Charge(ReadCost::kField); !s.ok()) return s;
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    switch (WireFormatLite::GetTagWireType(tag)) {
      case WireFormatLite::WIRETYPE_VARINT: {
        uint64_t value;
        if (!in_->ReadVarint64(&value)) return Damaged("a number is cut short");
        if (field == pprof::Profile::kTimeNanosFieldNumber) raw_.time_nanos = value;
        if (field == pprof::Profile::kDurationNanosFieldNumber) raw_.duration_nanos = value;
        return absl::OkStatus();
      }
      case WireFormatLite::WIRETYPE_LENGTH_DELIMITED: {
        uint32_t length;
        if (!in_->ReadVarint32(&length) || length > INT_MAX) return Damaged("a field is cut short");
        if (!budget_->Fits(3 * int64_t{length})) return ReadBudget::Exceeded();
        if (!in_->ReadString(&bytes_, static_cast<int>(length))) {
          return Damaged("a field is cut short");
        }
        absl::Status status = ReadMessage(field);
        if (bytes_.capacity() > kKeptBuffer) bytes_ = std::string();
        return status;
      }
      default:
        if (!WireFormatLite::SkipField(in_, tag)) return Damaged("a field is cut short");
        return absl::OkStatus();
    }
  }

  absl::Status ReadMessage(int field) {
    switch (field) {
      case pprof::Profile::kMemtraceFieldNumber:
        return ReadExtension();
      case pprof::Profile::kSampleTypeFieldNumber:
        return Parse(&value_type_, "a sample type", [this] {
          if (raw_.sample_types.size() >= kMaxSampleTypes) return Damaged("it has no end of types");
          raw_.sample_types.emplace_back(value_type_.type(), value_type_.unit());
          return absl::OkStatus();
        });
      case pprof::Profile::kSampleFieldNumber:
        return Parse(&sample_, "a sample", [this] { return KeepSample(); });
      case pprof::Profile::kMappingFieldNumber:
        return Parse(&mapping_, "a mapping", [this] {
          raw_.mappings.emplace_back(mapping_.id(), mapping_.filename());
          return Charge(ReadCost::kMapping);
        });
      case pprof::Profile::kLocationFieldNumber:
        return Parse(&location_, "a location", [this] { return KeepLocation(); });
      case pprof::Profile::kFunctionFieldNumber:
        return Parse(&function_, "a function", [this] {
          raw_.functions.push_back(
              {function_.id(), function_.name(), function_.filename(), function_.start_line()});
          return Charge(ReadCost::kFunction);
        });
      case pprof::Profile::kStringTableFieldNumber:
        raw_.strings.push_back(bytes_);
        return Charge(ReadCost::kString, ReadCost::kTextByte, bytes_.size());
      default:
        return absl::OkStatus();  // of a later version, or of no use here
    }
  }

  absl::Status Charge(int64_t entry, int64_t each = 0, size_t count = 0) {
    if (budget_->Keep(entry + each * static_cast<int64_t>(count))) return absl::OkStatus();
    return ReadBudget::Exceeded();
  }

  template <typename Message, typename Keep>
  absl::Status Parse(Message* message, const char* what, Keep keep) {
    if (!budget_->Fits(ReadCost::kDecodedByte * static_cast<int64_t>(bytes_.size()))) {
      return ReadBudget::Exceeded();
    }
    if (!message->ParseFromString(bytes_)) return Damaged(absl::StrCat(what, " cannot be decoded"));
    absl::Status status = keep();
    if (bytes_.size() > kKeptBuffer) *message = Message();
    return status;
  }

  absl::Status ReadExtension() {
    if (absl::Status s = Charge(ExtensionCost(bytes_)); !s.ok()) return s;
    pprof::Extension extension;
    if (!extension.ParseFromString(bytes_)) return Damaged("its header cannot be decoded");
    if (extension.has_columns()) KeepColumns(extension.mutable_columns());
    if (extension.schema_version() == 0) return absl::OkStatus();  // columns only
    if (raw_.header.has_value()) return Damaged("it has two headers");
    if (extension.schema_version() > kSnapshotSchemaVersion) {
      return absl::UnimplementedError(absl::StrFormat(
          "made by memtrace %s, with format version %d; this memtrace reads up to "
          "version %d: use a newer one",
          extension.tool_version(), extension.schema_version(), kSnapshotSchemaVersion));
    }
    extension.clear_columns();
    raw_.header = std::move(extension);
    return absl::OkStatus();
  }

  // Columns come at once as a rule, and are not copied then.
  void KeepColumns(pprof::Columns* columns) {
    if (raw_.columns.ByteSizeLong() == 0) {
      raw_.columns.Swap(columns);
    } else {
      raw_.columns.MergeFrom(*columns);
    }
  }

  absl::Status KeepSample() {
    if (sample_.value_size() == 0) return Damaged("a sample has no values");
    const size_t shared = KeepStack();
    for (int64_t value : sample_.value()) {
      if (IsOutOfRange(value)) return Damaged("a value is out of range");
      raw_.sample_values.push_back(value);
    }
    RawSample raw{static_cast<uint32_t>(shared), raw_.sample_locations.size(),
                  raw_.sample_values.size(), 0, 0};
    for (const pprof::Label& label : sample_.label()) {
      if (label.str() == 0 || raw.domain_key != 0) continue;
      raw.domain_key = label.key();
      raw.domain = label.str();
    }
    raw_.samples.push_back(raw);
    const size_t deeper = stack_.size() - std::min(stack_.size(), deepest_);
    deepest_ += deeper;
    return Charge(ReadCost::kSample + ReadCost::kDepth * static_cast<int64_t>(deeper),
                  ReadCost::kNumber, stack_.size() - shared + sample_.value_size());
  }

  // Keeps the locations that differ from the last sample's; returns how many are shared.
  size_t KeepStack() {
    const auto& ids = sample_.location_id();  // innermost first
    const auto [own, last] = std::mismatch(ids.rbegin(), ids.rend(), stack_.begin(), stack_.end());
    const auto shared = static_cast<size_t>(last - stack_.begin());
    raw_.sample_locations.insert(raw_.sample_locations.end(), own, ids.rend());
    stack_.resize(shared);
    stack_.insert(stack_.end(), own, ids.rend());
    return shared;
  }

  absl::Status KeepLocation() {
    for (const pprof::Line& line : location_.line()) {
      raw_.lines.push_back({line.function_id(), line.line()});
    }
    raw_.locations.push_back(
        {location_.id(), location_.mapping_id(), location_.address(), raw_.lines.size()});
    // Without a line it is a frame all the same.
    return Charge(ReadCost::kLocation, ReadCost::kLine, std::max(location_.line_size(), 1));
  }

  pb::io::CodedInputStream* in_;
  const ReadOptions& options_;
  ReadBudget* const budget_;
  RawProfile raw_;
  std::string bytes_;
  std::vector<uint64_t> stack_;  // of the last sample, outermost first
  size_t deepest_ = 0;
  // Reused, so that their memory is.
  pprof::ValueType value_type_;
  pprof::Sample sample_;
  pprof::Mapping mapping_;
  pprof::Location location_;
  pprof::Function function_;
};

}  // namespace

absl::StatusOr<RawProfile> ReadRawProfile(pb::io::CodedInputStream* in, const ReadOptions& options,
                                          ReadBudget* budget) {
  StreamReader reader(in, options, budget);
  absl::Status status = reader.Read();
  if (!status.ok()) return status;
  return std::move(reader.raw());
}

}  // namespace memtrace
