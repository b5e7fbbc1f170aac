// Profile -> snapshot file. The order of what is written is the format's (core/FORMAT.md): the
// extension's header, sample types, samples, mappings, locations, functions, strings, the
// extension's columns. Ids are given in the order of first use, so the same profile gives the same
// bytes, and a profile that was read gives the bytes it was read from.

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "profile.pb.h"
#include "tools/model/process_message.h"
#include "tools/model/snapshot_file.h"
#include "tools/model/whole_file.h"

namespace memtrace {
namespace {

namespace pb = google::protobuf;

constexpr uint64_t kPage = 4096;
// Entries to gather in one message before it goes to the stream: protobuf joins the pieces.
constexpr int kPieceEntries = 4096;

// zlib's default, 6, takes four times as long, for files of 300,000 samples that are no smaller.
constexpr int kCompressionLevel = 4;

// Stands for a frame, and for its function, where a sample has no stack: pprof leaves such samples
// out of its tables, and the sums would not agree.
constexpr uint32_t kNoStack = UINT32_MAX;
constexpr uint32_t kNoStackKind = 3;
constexpr char kNoStackName[] = "(no stack)";

uint64_t RoundUpToPage(uint64_t x) { return (x + kPage - 1) & ~(kPage - 1); }

// What pprof shows for a thread: its name, and its id because names repeat.
std::string ThreadLabel(const Thread& thread) {
  return absl::StrCat(thread.name.empty() ? "thread" : thread.name, "/", thread.tid);
}

class SnapshotWriter {
 public:
  SnapshotWriter(const Profile& profile, const WriteOptions& options,
                 pb::io::ZeroCopyOutputStream* out)
      : profile_(profile),
        options_(options),
        out_(out),
        location_ids_(profile.frames().size()),
        function_ids_(profile.functions().size()) {
    StringIndex("");
    std::set<std::pair<uint32_t, uint16_t>> threads;
    for (const Sample& sample : profile.samples()) threads.emplace(sample.process, sample.thread);
    label_threads_ = options.thread_label && threads.size() > 1;
    label_processes_ = profile.processes.size() > 1;
    has_labels_ = std::any_of(profile.samples().begin(), profile.samples().end(),
                              [](const Sample& sample) { return sample.label != 0; });
  }

  absl::Status Write() {
    if (!options_.strict_pprof) WriteHeader();
    WritePreamble();
    for (const Sample& sample : profile_.samples()) AddSample(sample);
    Flush();
    WriteTables();
    if (!options_.strict_pprof) {
      *piece_.mutable_memtrace()->mutable_columns() = std::move(columns_);
      Flush();
    }
    return status_;
  }

 private:
  void Flush() {
    if (status_.ok() && !piece_.SerializeToZeroCopyStream(out_)) {
      status_ = absl::ResourceExhaustedError("the snapshot could not be encoded");
    }
    piece_.Clear();
    entries_ = 0;
  }

  void CountEntry() {
    if (++entries_ >= kPieceEntries) Flush();
  }

  int64_t StringIndex(absl::string_view text) {
    auto [it, fresh] = string_index_.try_emplace(text, static_cast<int64_t>(strings_.size()));
    if (fresh) strings_.emplace_back(text);
    return it->second;
  }

  void WriteHeader() {
    pprof::Extension* header = piece_.mutable_memtrace();
    header->set_schema_version(kSnapshotSchemaVersion);
    header->set_tool_version(profile_.tool_version);
    header->set_taken_realtime_ns(profile_.taken_realtime_ns);
    for (const Process& process : profile_.processes) ToProto(process, header->add_process());
    for (const SourceLine& line : profile_.source_lines) {
      pprof::SourceLine* out = header->add_source_line();
      out->set_filename(profile_.string(line.filename));
      out->set_line(line.line);
      out->set_text(line.text);
    }
    Flush();
  }

  void SetType(const char* type, const char* unit, pprof::ValueType* out) {
    out->set_type(StringIndex(type));
    out->set_unit(StringIndex(unit));
  }

  // The six sample types never change: pprof compares only profiles with equal lists.
  void WritePreamble() {
    SetType("alloc_objects", "count", piece_.add_sample_type());
    SetType("alloc_space", "bytes", piece_.add_sample_type());
    SetType("inuse_objects", "count", piece_.add_sample_type());
    SetType("inuse_space", "bytes", piece_.add_sample_type());
    SetType("peak_objects", "count", piece_.add_sample_type());
    SetType("peak_space", "bytes", piece_.add_sample_type());
    SetType("space", "bytes", piece_.mutable_period_type());
    piece_.set_period(1);
    piece_.set_default_sample_type(StringIndex("inuse_space"));
    piece_.set_time_nanos(profile_.taken_realtime_ns);
    if (!profile_.processes.empty()) {
      piece_.set_duration_nanos(profile_.processes[0].duration_ns);
    }
    for (const Process& process : profile_.processes) {
      if (process.is_member()) continue;
      piece_.add_comment(StringIndex(
          absl::StrCat("process ", process.pid, ": ", absl::StrJoin(process.command, " "))));
    }
    Flush();
  }

  void AddLabels(const Sample& sample, pprof::Sample* out) {
    if (sample.domain != Domain::kNone) {
      pprof::Label* label = out->add_label();
      label->set_key(StringIndex("domain"));
      label->set_str(StringIndex(DomainName(sample.domain)));
    }
    if (sample.label != 0) {
      pprof::Label* label = out->add_label();
      label->set_key(StringIndex("label"));
      label->set_str(StringIndex(profile_.string(sample.label)));
    }
    if (sample.process >= profile_.processes.size()) return;
    const Process& process = profile_.processes[sample.process];
    if (label_threads_ && sample.thread < process.threads.size()) {
      pprof::Label* label = out->add_label();
      label->set_key(StringIndex("thread"));
      label->set_str(ThreadIndex(sample));
    }
    if (label_processes_) {
      pprof::Label* label = out->add_label();
      label->set_key(StringIndex("process"));
      label->set_num(process.pid);
    }
  }

  int64_t ThreadIndex(const Sample& sample) {
    const uint64_t key = uint64_t{sample.process} << 16 | sample.thread;
    auto [it, fresh] = thread_labels_.try_emplace(key, 0);
    if (fresh) {
      it->second =
          StringIndex(ThreadLabel(profile_.processes[sample.process].threads[sample.thread]));
    }
    return it->second;
  }

  void AddSample(const Sample& sample) {
    pprof::Sample* out = piece_.add_sample();
    if (sample.caller != 0) out->add_location_id(LocationId(sample.caller));
    for (NodeId node = sample.node; node != 0; node = profile_.node(node).parent) {
      out->add_location_id(LocationId(profile_.node(node).frame));
    }
    if (out->location_id_size() == 0) out->add_location_id(NoStackLocation());
    const Values& v = sample.values;
    for (int64_t value : {v.alloc_objects, v.alloc_bytes, v.inuse_objects, v.inuse_bytes,
                          v.peak_objects, v.peak_bytes}) {
      out->add_value(value);
    }
    AddLabels(sample, out);
    columns_.add_process(sample.process);
    columns_.add_thread(sample.thread);
    columns_.add_domain(static_cast<uint32_t>(sample.domain));
    columns_.add_has_caller(sample.caller != 0);
    columns_.add_temporary_objects(v.temporary_objects);
    columns_.add_temporary_bytes(v.temporary_bytes);
    if (has_labels_) {
      columns_.add_label(static_cast<uint32_t>(StringIndex(profile_.string(sample.label))));
    }
    CountEntry();
  }

  uint64_t LocationId(FrameId frame) {
    if (location_ids_[frame] == 0) {
      locations_.push_back(frame);
      location_ids_[frame] = locations_.size();
    }
    return location_ids_[frame];
  }

  uint64_t NoStackLocation() {
    if (no_stack_location_ == 0) {
      locations_.push_back(kNoStack);
      no_stack_location_ = locations_.size();
    }
    return no_stack_location_;
  }

  uint64_t FunctionIndex(FunctionId function) {
    if (function_ids_[function] == 0) {
      functions_.push_back(function);
      function_ids_[function] = functions_.size();
    }
    return function_ids_[function];
  }

  uint64_t MappingId(const std::string& path) {
    auto [it, fresh] = mapping_ids_.try_emplace(path, mappings_.size() + 1);
    if (fresh) mappings_.push_back({path, 0, true});
    return it->second;
  }

  static bool HasLine(const Frame& frame) { return frame.function != 0 || frame.line != 0; }

  // Mappings come before locations in the stream, so what locations need is found out first. The
  // first one is the program itself, which is how viewers name the profile.
  void CollectMappings() {
    for (const Process& process : profile_.processes) {
      if (process.executable.empty()) continue;
      MappingId(process.executable);
      break;
    }
    for (FrameId id : locations_) {
      if (id == kNoStack || profile_.frame(id).module == 0) continue;
      const Frame& frame = profile_.frame(id);
      MappingRecord& mapping = mappings_[MappingId(profile_.string(frame.module)) - 1];
      mapping.last_address = std::max(mapping.last_address, frame.address);
      mapping.symbolized &= HasLine(frame);
    }
  }

  void WriteTables() {
    CollectMappings();
    for (const MappingRecord& mapping : mappings_) WriteMapping(mapping);
    Flush();
    for (FrameId id : locations_) id == kNoStack ? WriteNoStackLocation() : WriteLocation(id);
    Flush();
    for (FunctionId id : functions_) id == kNoStack ? WriteNoStackFunction() : WriteFunction(id);
    Flush();
    for (const std::string& text : strings_) {
      piece_.add_string_table(text);
      CountEntry();
    }
    Flush();
  }

  struct MappingRecord {
    std::string path;
    uint64_t last_address;
    bool symbolized;
  };

  // Addresses are relative to the file, so every mapping starts at 0.
  void WriteMapping(const MappingRecord& record) {
    const std::string& path = record.path;
    uint64_t limit = record.last_address + 1;
    std::string build_id;
    for (const Process& process : profile_.processes) {
      for (const Module& module : process.modules) {
        if (module.path != path) continue;
        if (module.end > module.bias) limit = std::max(limit, module.end - module.bias);
        if (build_id.empty()) build_id = module.build_id;
      }
    }
    pprof::Mapping* out = piece_.add_mapping();
    out->set_id(MappingId(path));
    out->set_memory_limit(RoundUpToPage(limit));
    out->set_filename(StringIndex(path));
    out->set_build_id(StringIndex(build_id));
    out->set_has_functions(record.symbolized);
    CountEntry();
  }

  void WriteLocation(FrameId id) {
    const Frame& frame = profile_.frame(id);
    pprof::Location* out = piece_.add_location();
    out->set_id(LocationId(id));
    if (frame.module != 0) out->set_mapping_id(MappingId(profile_.string(frame.module)));
    out->set_address(frame.address);
    if (HasLine(frame)) {
      pprof::Line* line = out->add_line();
      line->set_function_id(FunctionIndex(frame.function));
      line->set_line(frame.line);
    }
    columns_.add_location_kind(static_cast<uint32_t>(frame.kind));
    CountEntry();
  }

  void WriteNoStackLocation() {
    functions_.push_back(kNoStack);
    no_stack_function_ = functions_.size();
    pprof::Location* out = piece_.add_location();
    out->set_id(no_stack_location_);
    out->add_line()->set_function_id(no_stack_function_);
    columns_.add_location_kind(kNoStackKind);
    CountEntry();
  }

  void WriteNoStackFunction() {
    pprof::Function* out = piece_.add_function();
    out->set_id(no_stack_function_);
    out->set_name(StringIndex(kNoStackName));
    CountEntry();
  }

  void WriteFunction(FunctionId id) {
    const Function& function = profile_.function(id);
    pprof::Function* out = piece_.add_function();
    out->set_id(FunctionIndex(id));
    out->set_name(StringIndex(profile_.string(function.name)));
    // No system name: pprof would demangle it, and take the "<module>" of Python for a template.
    out->set_filename(StringIndex(profile_.string(function.filename)));
    out->set_start_line(function.start_line);
    CountEntry();
  }

  const Profile& profile_;
  const WriteOptions& options_;
  pb::io::ZeroCopyOutputStream* out_;
  absl::Status status_;
  pprof::Profile piece_;
  int entries_ = 0;
  pprof::Columns columns_;
  bool label_threads_ = false;
  bool label_processes_ = false;
  bool has_labels_ = false;
  absl::flat_hash_map<uint64_t, int64_t> thread_labels_;  // string indices
  std::vector<uint64_t> location_ids_;                    // by frame, 0: not used so far
  std::vector<FrameId> locations_;
  uint64_t no_stack_location_ = 0;
  uint64_t no_stack_function_ = 0;
  std::vector<uint64_t> function_ids_;
  std::vector<FunctionId> functions_;
  absl::flat_hash_map<std::string, uint64_t> mapping_ids_;
  std::vector<MappingRecord> mappings_;
  absl::flat_hash_map<std::string, int64_t> string_index_;
  std::vector<std::string> strings_;
};

absl::Status WriteTo(const Profile& profile, const WriteOptions& options,
                     pb::io::ZeroCopyOutputStream* out) {
  pb::io::GzipOutputStream::Options gzip;
  gzip.format = pb::io::GzipOutputStream::GZIP;  // its header holds no time
  gzip.compression_level = kCompressionLevel;
  pb::io::GzipOutputStream compressed(out, gzip);
  absl::Status status = SnapshotWriter(profile, options, &compressed).Write();
  if (!compressed.Close() && status.ok()) {
    status = absl::UnavailableError("the compressed snapshot could not be completed");
  }
  return status;
}

}  // namespace

absl::Status WriteSnapshotFile(const Profile& profile, const std::string& path,
                               const WriteOptions& options) {
  return WriteWholeFile(path, options.force, [&](int fd) {
    pb::io::FileOutputStream file(fd);
    absl::Status status = WriteTo(profile, options, &file);
    if (!file.Flush() || file.GetErrno() != 0) {
      return WriteError(file.GetErrno());
    }
    return status;
  });
}

absl::StatusOr<std::string> SnapshotBytes(const Profile& profile, const WriteOptions& options) {
  std::string bytes;
  pb::io::StringOutputStream out(&bytes);
  absl::Status status = WriteTo(profile, options, &out);
  if (!status.ok()) return status;
  return bytes;
}

}  // namespace memtrace
