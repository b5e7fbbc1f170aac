// Snapshot file -> profile.
//
// The stream is read field by field, so that neither the file nor the whole message is ever held in
// memory. References may point forward (samples come before locations and strings), so samples are
// first kept as plain numbers (RawProfile) and resolved when the stream has ended (ProfileBuilder).
// Every number that came from the file is checked there, before it is used as an index.

#include <fcntl.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "profile.pb.h"
#include "tools/model/inflate_stream.h"
#include "tools/model/snapshot_file.h"

namespace memtrace {
namespace {

namespace pb = google::protobuf;
using pb::internal::WireFormatLite;

// No honest program allocates as much; and sums of such figures stay far from overflow.
constexpr int64_t kMaxValue = int64_t{1} << 55;

// The location_kind of the location that stands for an empty stack.
constexpr uint32_t kNoStackKind = 3;

// A stored profile's own names for the columns; position = index in `kColumns`.
constexpr absl::string_view kColumns[] = {"alloc_objects", "alloc_space",  "inuse_objects",
                                          "inuse_space",   "peak_objects", "peak_space"};
constexpr int64_t Values::*kFields[] = {&Values::alloc_objects, &Values::alloc_bytes,
                                        &Values::inuse_objects, &Values::inuse_bytes,
                                        &Values::peak_objects,  &Values::peak_bytes};

bool OutOfRange(int64_t value) { return value > kMaxValue || value < -kMaxValue; }

absl::Status Damaged(absl::string_view what) { return absl::InvalidArgumentError(what); }

struct RawLocation {
  uint64_t id;
  uint64_t mapping;
  uint64_t address;
  size_t lines_end;  // its lines: from the previous location's end to here
};

struct RawLine {
  uint64_t function;
  int64_t line;
};

struct RawFunction {
  uint64_t id;
  int64_t name;
  int64_t filename;
  int64_t start_line;
};

struct RawSample {
  size_t locations_end;
  size_t values_end;
  int64_t domain_key;  // label of another program's profile: key and text, 0: none
  int64_t domain;
};

struct RawProfile {
  std::optional<pprof::Extension> header;
  pprof::Columns columns;
  std::vector<std::pair<int64_t, int64_t>> sample_types;
  std::vector<RawSample> samples;
  std::vector<uint64_t> sample_locations;
  std::vector<int64_t> sample_values;
  std::vector<std::pair<uint64_t, int64_t>> mappings;  // id, file name
  std::vector<RawLocation> locations;
  std::vector<RawLine> lines;
  std::vector<RawFunction> functions;
  std::vector<std::string> strings;
  int64_t time_nanos = 0;
  int64_t duration_nanos = 0;
};

// ---------------------------------------------------------------------------------------------
// Stream -> RawProfile

class StreamReader {
 public:
  StreamReader(pb::io::CodedInputStream* in, const ReadOptions& options)
      : in_(in), options_(options) {}

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
  absl::Status ReadField(uint32_t tag) {
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
        if (!in_->ReadVarint32(&length) || length > INT_MAX ||
            !in_->ReadString(&bytes_, static_cast<int>(length))) {
          return Damaged("a field is cut short");
        }
        return ReadMessage(field);
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
          raw_.sample_types.emplace_back(value_type_.type(), value_type_.unit());
          return absl::OkStatus();
        });
      case pprof::Profile::kSampleFieldNumber:
        return Parse(&sample_, "a sample", [this] { return KeepSample(); });
      case pprof::Profile::kMappingFieldNumber:
        return Parse(&mapping_, "a mapping", [this] {
          raw_.mappings.emplace_back(mapping_.id(), mapping_.filename());
          return absl::OkStatus();
        });
      case pprof::Profile::kLocationFieldNumber:
        return Parse(&location_, "a location", [this] { return KeepLocation(); });
      case pprof::Profile::kFunctionFieldNumber:
        return Parse(&function_, "a function", [this] {
          raw_.functions.push_back(
              {function_.id(), function_.name(), function_.filename(), function_.start_line()});
          return absl::OkStatus();
        });
      case pprof::Profile::kStringTableFieldNumber:
        raw_.strings.push_back(bytes_);
        return absl::OkStatus();
      default:
        return absl::OkStatus();  // of a later version, or of no use here
    }
  }

  template <typename Message, typename Keep>
  absl::Status Parse(Message* message, const char* what, Keep keep) {
    if (!message->ParseFromString(bytes_)) return Damaged(absl::StrCat(what, " cannot be decoded"));
    return keep();
  }

  absl::Status ReadExtension() {
    pprof::Extension extension;
    if (!extension.ParseFromString(bytes_)) return Damaged("its header cannot be decoded");
    if (extension.has_columns()) raw_.columns.MergeFrom(extension.columns());
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

  absl::Status KeepSample() {
    if (sample_.value_size() == 0) return Damaged("a sample has no values");
    raw_.sample_locations.insert(raw_.sample_locations.end(), sample_.location_id().begin(),
                                 sample_.location_id().end());
    for (int64_t value : sample_.value()) {
      if (OutOfRange(value)) return Damaged("a value is out of range");
      raw_.sample_values.push_back(value);
    }
    RawSample raw{raw_.sample_locations.size(), raw_.sample_values.size(), 0, 0};
    for (const pprof::Label& label : sample_.label()) {
      if (label.str() == 0 || raw.domain_key != 0) continue;
      raw.domain_key = label.key();
      raw.domain = label.str();
    }
    raw_.samples.push_back(raw);
    return absl::OkStatus();
  }

  absl::Status KeepLocation() {
    for (const pprof::Line& line : location_.line()) {
      raw_.lines.push_back({line.function_id(), line.line()});
    }
    raw_.locations.push_back(
        {location_.id(), location_.mapping_id(), location_.address(), raw_.lines.size()});
    return absl::OkStatus();
  }

  pb::io::CodedInputStream* in_;
  const ReadOptions& options_;
  RawProfile raw_;
  std::string bytes_;
  // Reused, so that their memory is.
  pprof::ValueType value_type_;
  pprof::Sample sample_;
  pprof::Mapping mapping_;
  pprof::Location location_;
  pprof::Function function_;
};

// ---------------------------------------------------------------------------------------------
// Extension -> processes

std::vector<TimelineBucket> FromProto(const pprof::Timeline& timeline) {
  std::vector<TimelineBucket> buckets(timeline.elapsed_ns_size());
  for (int i = 0; i < timeline.elapsed_ns_size(); ++i) {
    buckets[i] = {timeline.elapsed_ns(i), timeline.live_bytes_min(i), timeline.live_bytes_max(i),
                  timeline.rss_bytes(i)};
  }
  return buckets;
}

absl::StatusOr<Process> FromProto(const pprof::Process& in) {
  if (OutOfRange(in.peak_bytes()) || OutOfRange(in.peak_bound()) ||
      OutOfRange(in.inherited_bytes())) {
    return Damaged("a figure of a process is out of range");
  }
  Process out;
  out.pid = in.pid();
  out.parent_pid = in.parent_pid();
  out.command.assign(in.command().begin(), in.command().end());
  out.executable = in.executable();
  out.working_dir = in.working_dir();
  out.python = in.python();
  out.python_text = in.python_text();
  out.start_realtime_ns = in.start_realtime_ns();
  out.duration_ns = in.duration_ns();
  // A way to end that a later version may know is one that this one does not.
  out.end =
      pprof::Process::End_IsValid(in.end()) ? static_cast<EndKind>(in.end()) : EndKind::kUnknown;
  out.end_status = in.end_status();
  out.peak_bytes = in.peak_bytes();
  out.peak_bound = in.peak_bound();
  out.peak_elapsed_ns = in.peak_elapsed_ns();
  out.stack_depth = in.stack_depth();
  out.flags = in.flags();
  out.inherited_bytes = in.inherited_bytes();
  for (const pprof::Thread& t : in.thread()) {
    out.threads.push_back({t.tid(), t.name(), t.users(), t.ended()});
  }
  for (const pprof::Loss& l : in.loss()) out.losses.push_back({l.reason(), l.events(), l.bytes()});
  const pprof::Timeline& t = in.timeline();
  if (t.live_bytes_min_size() != t.elapsed_ns_size() ||
      t.live_bytes_max_size() != t.elapsed_ns_size() || t.rss_bytes_size() != t.elapsed_ns_size()) {
    return Damaged("the columns of a timeline differ in length");
  }
  out.timeline = FromProto(t);
  for (const pprof::Module& m : in.module()) {
    out.modules.push_back({m.path(), m.build_id(), m.start(), m.end(), m.bias(), m.generation()});
  }
  return out;
}

// ---------------------------------------------------------------------------------------------
// RawProfile -> Profile

class ProfileBuilder {
 public:
  explicit ProfileBuilder(const RawProfile& raw) : raw_(raw) {}

  absl::StatusOr<Profile> Build(bool header_only) {
    absl::Status status = AddHeader();
    if (status.ok() && !(header_only && raw_.header.has_value())) {
      for (auto step : {&ProfileBuilder::AddStrings, &ProfileBuilder::ChooseColumns,
                        &ProfileBuilder::AddFunctions, &ProfileBuilder::AddLocations,
                        &ProfileBuilder::CheckColumns, &ProfileBuilder::AddSamples}) {
        status = (this->*step)();
        if (!status.ok()) break;
      }
    }
    if (!status.ok()) return status;
    return std::move(profile_);
  }

 private:
  absl::Status AddHeader() {
    if (!raw_.header.has_value()) {
      // Another program's profile: one process of which only the times are known.
      Process process;
      process.duration_ns = raw_.duration_nanos;
      profile_.processes.push_back(process);
      profile_.taken_realtime_ns = raw_.time_nanos;
      return absl::OkStatus();
    }
    const pprof::Extension& header = *raw_.header;
    profile_.tool_version = header.tool_version();
    profile_.taken_realtime_ns = header.taken_realtime_ns();
    for (const pprof::Process& in : header.process()) {
      absl::StatusOr<Process> process = FromProto(in);
      if (!process.ok()) return process.status();
      profile_.processes.push_back(*std::move(process));
    }
    for (const pprof::SourceLine& line : header.source_line()) {
      profile_.source_lines.push_back(
          {profile_.InternString(line.filename()), line.line(), line.text()});
    }
    return absl::OkStatus();
  }

  absl::Status AddStrings() {
    if (raw_.strings.empty() || !raw_.strings[0].empty()) {
      return Damaged("its string table is missing or does not begin with the empty string");
    }
    for (const std::string& text : raw_.strings) strings_.push_back(profile_.InternString(text));
    return absl::OkStatus();
  }

  bool IsString(int64_t index) const {
    return index >= 0 && index < static_cast<int64_t>(raw_.strings.size());
  }

  absl::Status ChooseColumns() {
    std::string names;
    bool known = false;
    for (auto [type, unit] : raw_.sample_types) {
      if (!IsString(type) || !IsString(unit)) return Damaged("a sample type has no name");
      column_.push_back(-1);
      for (size_t i = 0; i < std::size(kColumns); ++i) {
        if (raw_.strings[type] == kColumns[i]) column_.back() = static_cast<int>(i);
      }
      known |= column_.back() >= 0;
      absl::StrAppend(&names, names.empty() ? "" : ", ", raw_.strings[type]);
    }
    if (!known) {
      return Damaged(absl::StrCat("a profile without memory figures: its sample types are: ",
                                  names.empty() ? "none" : names));
    }
    return absl::OkStatus();
  }

  absl::Status AddFunctions() {
    for (const RawFunction& f : raw_.functions) {
      if (!IsString(f.name) || !IsString(f.filename)) {
        return Damaged(absl::StrFormat("function %d names a string that does not exist", f.id));
      }
      const FunctionId id =
          profile_.InternFunction({strings_[f.name], strings_[f.filename], f.start_line});
      if (f.id == 0 || !functions_.emplace(f.id, id).second) {
        return Damaged(absl::StrFormat("function %d is defined twice, or has no id", f.id));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddMappings() {
    for (auto [id, filename] : raw_.mappings) {
      if (!IsString(filename)) {
        return Damaged(absl::StrFormat("mapping %d names a string that does not exist", id));
      }
      if (id == 0 || !mappings_.emplace(id, strings_[filename]).second) {
        return Damaged(absl::StrFormat("mapping %d is defined twice, or has no id", id));
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddLocations() {
    absl::Status status = AddMappings();
    if (!status.ok()) return status;
    const bool kinds = raw_.columns.location_kind_size() > 0;
    if (kinds && raw_.columns.location_kind_size() != static_cast<int>(raw_.locations.size())) {
      return Damaged("its columns do not fit its locations");
    }
    size_t first_line = 0;
    for (size_t i = 0; i < raw_.locations.size(); ++i) {
      const RawLocation& location = raw_.locations[i];
      Frame frame;
      frame.address = location.address;
      frame.kind =
          location.mapping != 0 || location.address != 0 ? FrameKind::kNative : FrameKind::kPython;
      if (kinds) {
        const uint32_t kind = raw_.columns.location_kind(static_cast<int>(i));
        if (kind > kNoStackKind) return Damaged("a frame has an unknown kind");
        if (kind == kNoStackKind) {
          locations_.emplace(location.id, std::make_pair(size_t{0}, size_t{0}));
          first_line = location.lines_end;
          continue;
        }
        frame.kind = static_cast<FrameKind>(kind);
      }
      if (location.mapping != 0) {
        const auto mapping = mappings_.find(location.mapping);
        if (mapping == mappings_.end()) {
          return Damaged(
              absl::StrFormat("location %d is in a mapping that does not exist", location.id));
        }
        frame.module = mapping->second;
      }
      status = AddLocation(location, frame, first_line);
      if (!status.ok()) return status;
      first_line = location.lines_end;
    }
    return absl::OkStatus();
  }

  // One frame for each line: functions inlined into one another share the address.
  absl::Status AddLocation(const RawLocation& location, Frame frame, size_t first_line) {
    const size_t first_frame = frames_.size();
    if (first_line == location.lines_end) frames_.push_back(profile_.InternFrame(frame));
    for (size_t i = first_line; i < location.lines_end; ++i) {
      frame.line = raw_.lines[i].line;
      frame.function = 0;
      if (raw_.lines[i].function != 0) {
        const auto function = functions_.find(raw_.lines[i].function);
        if (function == functions_.end()) {
          return Damaged(
              absl::StrFormat("location %d is in a function that does not exist", location.id));
        }
        frame.function = function->second;
      }
      frames_.push_back(profile_.InternFrame(frame));
    }
    const bool fresh =
        locations_.emplace(location.id, std::make_pair(first_frame, frames_.size())).second;
    if (location.id == 0 || !fresh) {
      return Damaged(absl::StrFormat("location %d is defined twice, or has no id", location.id));
    }
    return absl::OkStatus();
  }

  absl::Status CheckColumns() {
    if (!raw_.header.has_value()) return absl::OkStatus();
    const pprof::Columns& c = raw_.columns;
    const int samples = static_cast<int>(raw_.samples.size());
    for (int size : {c.process_size(), c.thread_size(), c.domain_size(), c.has_caller_size(),
                     c.temporary_objects_size(), c.temporary_bytes_size()}) {
      if (size != samples) return Damaged("its columns do not fit its samples");
    }
    for (int i = 0; i < samples; ++i) {
      if (c.process(i) >= profile_.processes.size()) {
        return Damaged("a sample is of a process that does not exist");
      }
      const size_t threads = profile_.processes[c.process(i)].threads.size();
      if (c.thread(i) >= std::max<size_t>(threads, 1) || c.thread(i) > UINT16_MAX) {
        return Damaged("a sample is of a thread that does not exist");
      }
      if (c.domain(i) >= kDomainCount) return Damaged("a sample has an unknown domain");
      if (OutOfRange(c.temporary_objects(i)) || OutOfRange(c.temporary_bytes(i))) {
        return Damaged("a value is out of range");
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddSamples() {
    size_t first_location = 0;
    size_t first_value = 0;
    for (size_t i = 0; i < raw_.samples.size(); ++i) {
      const RawSample& raw = raw_.samples[i];
      if (raw.values_end - first_value != column_.size()) {
        return Damaged(absl::StrFormat("sample %d has %d values, not %d", i,
                                       raw.values_end - first_value, column_.size()));
      }
      Sample sample;
      for (size_t c = 0; c < column_.size(); ++c) {
        if (column_[c] >= 0) {
          sample.values.*kFields[column_[c]] = raw_.sample_values[first_value + c];
        }
      }
      const bool has_caller = FillFromColumns(static_cast<int>(i), &sample);
      FillFromLabel(raw, &sample);
      absl::Status status = FillStack(first_location, raw.locations_end, has_caller, &sample);
      if (!status.ok()) return status;
      profile_.AddSample(sample);
      first_location = raw.locations_end;
      first_value = raw.values_end;
    }
    return absl::OkStatus();
  }

  bool FillFromColumns(int i, Sample* sample) const {
    if (!raw_.header.has_value()) return false;
    const pprof::Columns& columns = raw_.columns;
    sample->process = columns.process(i);
    sample->thread = static_cast<uint16_t>(columns.thread(i));
    sample->domain = static_cast<Domain>(columns.domain(i));
    sample->values.temporary_objects = columns.temporary_objects(i);
    sample->values.temporary_bytes = columns.temporary_bytes(i);
    return columns.has_caller(i);
  }

  // Without our columns the label is all that there is.
  void FillFromLabel(const RawSample& raw, Sample* sample) const {
    if (raw_.header.has_value() || !IsString(raw.domain_key) || !IsString(raw.domain)) return;
    if (raw_.strings[raw.domain_key] != "domain") return;
    sample->domain = DomainFromName(raw_.strings[raw.domain]);
  }

  absl::Status FillStack(size_t first, size_t last, bool has_caller, Sample* sample) {
    stack_.clear();  // innermost first
    for (size_t i = first; i < last; ++i) {
      const auto location = locations_.find(raw_.sample_locations[i]);
      if (location == locations_.end()) {
        return Damaged(absl::StrFormat("a sample is at location %d, which does not exist",
                                       raw_.sample_locations[i]));
      }
      stack_.insert(stack_.end(), frames_.begin() + location->second.first,
                    frames_.begin() + location->second.second);
    }
    if (has_caller && stack_.empty()) return Damaged("a sample lacks its caller");
    if (has_caller) sample->caller = stack_[0];
    sample->node = NodeFor(stack_.rbegin(), stack_.rend() - (has_caller ? 1 : 0));
    return absl::OkStatus();
  }

  // The node of a stack, outermost frame first. Neighbouring samples share their outer frames, so
  // the way down from the root is taken from the last sample as far as it is the same.
  template <typename Frames>
  NodeId NodeFor(Frames begin, Frames end) {
    size_t depth = 0;
    while (begin != end && depth < path_.size() && path_[depth].first == *begin) {
      ++begin;
      ++depth;
    }
    path_.resize(depth);
    NodeId node = depth == 0 ? 0 : path_.back().second;
    for (; begin != end; ++begin) {
      node = profile_.InternNode(node, *begin);
      path_.emplace_back(*begin, node);
    }
    return node;
  }

  const RawProfile& raw_;
  Profile profile_;
  std::vector<StringId> strings_;
  std::vector<int> column_;  // index in kColumns by position in a sample, -1: another figure
  absl::flat_hash_map<uint64_t, FunctionId> functions_;
  absl::flat_hash_map<uint64_t, StringId> mappings_;
  std::vector<FrameId> frames_;
  absl::flat_hash_map<uint64_t, std::pair<size_t, size_t>> locations_;  // id -> range of frames_
  std::vector<FrameId> stack_;
  std::vector<std::pair<FrameId, NodeId>> path_;  // of the last sample, outermost first
};

// ---------------------------------------------------------------------------------------------

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
  InflateStream inflate(compressed, kUncompressedBase, kUncompressedRatio);
  pb::io::CopyingInputStreamAdaptor adaptor(&inflate);
  pb::io::CodedInputStream coded(&adaptor);
  coded.SetTotalBytesLimit(INT_MAX);
  StreamReader reader(&coded, options);
  absl::Status status = reader.Read();
  const bool early = options.header_only && reader.raw().header.has_value();
  if (!inflate.status().ok()) {
    status = inflate.status();
  } else if (status.ok() && !early && !inflate.Finished()) {
    status = Damaged("it is larger than 2 GiB, or ends early");
  }
  if (status.ok()) {
    absl::StatusOr<Profile> profile = ProfileBuilder(reader.raw()).Build(options.header_only);
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
