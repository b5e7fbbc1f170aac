// RawProfile -> Profile: every reference is checked, then followed.

#include <algorithm>
#include <iterator>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/model/process_message.h"
#include "tools/model/snapshot_raw.h"

namespace memtrace {
namespace {

// The location_kind of the location that stands for an empty stack.
constexpr uint32_t kNoStackKind = 3;

constexpr size_t kNameBytes = 100;  // of a sample type, in an error

// A location may stand for several frames that were inlined into one another, and a stack may name
// it often: bounded together, so that a small file is no endless walk.
constexpr size_t kMostFrames = 1 << 20;
constexpr size_t kFramesPerLocation = 8;

constexpr NodeId kNoNode = UINT32_MAX;

// A stored profile's own names for the columns; position = index in `kColumns`.
constexpr absl::string_view kColumns[] = {"alloc_objects", "alloc_space",  "inuse_objects",
                                          "inuse_space",   "peak_objects", "peak_space"};
constexpr int64_t Values::*kFields[] = {&Values::alloc_objects, &Values::alloc_bytes,
                                        &Values::inuse_objects, &Values::inuse_bytes,
                                        &Values::peak_objects,  &Values::peak_bytes};

absl::Status Damaged(absl::string_view what) { return absl::InvalidArgumentError(what); }

class ProfileBuilder {
 public:
  ProfileBuilder(const RawProfile& raw, ReadBudget* budget) : raw_(raw), budget_(budget) {}

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
      if (!HasItsGroup(in, header)) {
        return Damaged("a process was added to one that is no group");
      }
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
      absl::StrAppend(&names, names.empty() ? "" : ", ", raw_.strings[type].substr(0, kNameBytes));
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
    if (c.label_size() != 0 && c.label_size() != samples) {
      return Damaged("its columns do not fit its samples");
    }
    for (const uint32_t label : c.label()) {
      if (!IsString(label)) return Damaged("a label is a string that does not exist");
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
      if (IsOutOfRange(c.temporary_objects(i)) || IsOutOfRange(c.temporary_bytes(i))) {
        return Damaged("a value is out of range");
      }
    }
    return absl::OkStatus();
  }

  absl::Status AddSamples() {
    profile_.Reserve(raw_.samples.size(), raw_.samples.size());  // about one stack each
    nodes_charged_ = raw_.samples.size();
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
      absl::Status status = FillStack(raw, first_location, has_caller, &sample);
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
    if (columns.label_size() != 0) sample->label = strings_[columns.label(i)];
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

  // path_ becomes the sample's: what it shares with the last sample's is there already.
  absl::Status FillStack(const RawSample& raw, size_t first, bool has_caller, Sample* sample) {
    path_ends_.resize(raw.shared);
    path_.resize(raw.shared == 0 ? 0 : path_ends_.back());
    for (size_t i = first; i < raw.locations_end; ++i) {
      const auto location = locations_.find(raw_.sample_locations[i]);
      if (location == locations_.end()) {
        return Damaged(absl::StrFormat("a sample is at location %d, which does not exist",
                                       raw_.sample_locations[i]));
      }
      // Innermost first, as functions are inlined into one another.
      for (size_t frame = location->second.second; frame-- > location->second.first;) {
        path_.push_back({frames_[frame], kNoNode});
        if (++walked_ > kMostFrames + kFramesPerLocation * raw_.sample_locations.size()) {
          return ReadBudget::Exceeded();
        }
      }
      path_ends_.push_back(path_.size());
      absl::Status status = Charge(path_.size(), ReadCost::kDepth, &depth_charged_);
      if (!status.ok()) return status;
    }
    if (has_caller && path_.empty()) return Damaged("a sample lacks its caller");
    if (has_caller) sample->caller = path_.back().first;
    sample->node = NodeAt(path_.size() - (has_caller ? 1 : 0));
    return Charge(profile_.nodes().size(), ReadCost::kNode, &nodes_charged_);
  }

  // What has grown since it was charged.
  absl::Status Charge(size_t now, int64_t each, size_t* charged) {
    if (now <= *charged) return absl::OkStatus();
    const bool fits = budget_->Keep(each * static_cast<int64_t>(now - *charged));
    *charged = now;
    return fits ? absl::OkStatus() : ReadBudget::Exceeded();
  }

  // The node of the outermost `depth` frames of path_.
  NodeId NodeAt(size_t depth) {
    size_t known = depth;
    while (known > 0 && path_[known - 1].second == kNoNode) --known;
    NodeId node = known == 0 ? 0 : path_[known - 1].second;
    for (; known < depth; ++known) {
      path_[known].second = node = profile_.InternNode(node, path_[known].first);
    }
    return node;
  }

  const RawProfile& raw_;
  ReadBudget* const budget_;
  Profile profile_;
  std::vector<StringId> strings_;
  std::vector<int> column_;  // index in kColumns by position in a sample, -1: another figure
  absl::flat_hash_map<uint64_t, FunctionId> functions_;
  absl::flat_hash_map<uint64_t, StringId> mappings_;
  std::vector<FrameId> frames_;
  absl::flat_hash_map<uint64_t, std::pair<size_t, size_t>> locations_;  // id -> range of frames_
  // Of the last sample, outermost first: its frames with their nodes as far as they were asked for,
  // and where in them each location ends.
  std::vector<std::pair<FrameId, NodeId>> path_;
  std::vector<size_t> path_ends_;
  size_t walked_ = 0;
  size_t depth_charged_ = 0;
  size_t nodes_charged_ = 0;  // first as many as there are samples: kSample holds one
};

}  // namespace

absl::StatusOr<Profile> BuildProfile(const RawProfile& raw, const ReadOptions& options,
                                     ReadBudget* budget) {
  return ProfileBuilder(raw, budget).Build(options.header_only);
}

}  // namespace memtrace
