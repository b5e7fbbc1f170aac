#include "tools/read/symbolize.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tools/read/elf_file.h"
#include "tools/read/elf_symbols.h"
#include "tools/read/inline_frames.h"
#include "tools/read/section_view.h"

namespace memtrace {
namespace {

// What is left of the time for debug information.
class TimeLeft {
 public:
  explicit TimeLeft(absl::Duration time) : left_(time) {}
  bool any() const { return left_ > absl::ZeroDuration(); }

  template <typename Work>
  void Spend(Work work) {
    const absl::Time start = absl::Now();
    work();
    left_ -= absl::Now() - start;
  }

 private:
  absl::Duration left_;
};

// Debug information and symbols of one module.
class ModuleSymbols {
 public:
  ModuleSymbols(const Module& module, TimeLeft* time) : file_(module.path), time_(time) {
    if (file_.elf() == nullptr) return;
    const std::string build_id = file_.BuildId();
    if (!module.build_id.empty() && build_id != module.build_id) return;
    usable_ = true;
    symbols_.Load(file_.elf());
    if (time_->any()) time_->Spend([&] { OpenDwarf(build_id); });
  }

  const NativeFrames& Resolve(uint64_t address) {
    auto [it, fresh] = known_.try_emplace(address);
    if (fresh) it->second = Find(address);
    return it->second;
  }

 private:
  NativeFrames Find(uint64_t address) {
    NativeFrames frames;
    if (usable_ && inline_frames_.has_value() && time_->any()) {
      time_->Spend([&] { frames = inline_frames_->At(address); });
    }
    if (frames.empty()) frames.emplace_back();
    if (usable_ && frames.back().function.empty()) {
      if (const char* name = symbols_.Find(address)) {
        frames.back().function = ValidUtf8(Demangle(name));
      }
    }
    return frames;
  }

  void OpenDwarf(const std::string& build_id) {
    ElfFile* with_dwarf = &file_;
    if (!file_.HasUnits() && build_id.size() > 2) {
      debug_file_ = std::make_unique<ElfFile>(absl::StrCat(
          "/usr/lib/debug/.build-id/", build_id.substr(0, 2), "/", build_id.substr(2), ".debug"));
      if (debug_file_->BuildId() != build_id) return;
      with_dwarf = debug_file_.get();
      ElfSymbols full;
      full.Load(debug_file_->elf());
      if (!full.empty()) symbols_ = std::move(full);
    }
    if (with_dwarf->HasUnits()) inline_frames_.emplace(with_dwarf->dwarf(), &symbols_);
  }

  ElfFile file_;
  std::unique_ptr<ElfFile> debug_file_;
  TimeLeft* const time_;
  bool usable_ = false;
  ElfSymbols symbols_;
  std::optional<InlineFrames> inline_frames_;
  absl::flat_hash_map<uint64_t, NativeFrames> known_;
};

class FileSymbolizer : public Symbolizer {
 public:
  explicit FileSymbolizer(absl::Duration dwarf_time) : time_(dwarf_time) {}

  NativeFrames Resolve(const Module& module, uint64_t address) override {
    if (address == 0 || module.path.empty() || module.path[0] != '/') return NativeFrames(1);
    auto& symbols = modules_[{module.path, module.build_id}];
    if (symbols == nullptr) symbols = std::make_unique<ModuleSymbols>(module, &time_);
    return symbols->Resolve(address - 1);
  }

 private:
  TimeLeft time_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<ModuleSymbols>> modules_;
};

}  // namespace

std::unique_ptr<Symbolizer> MakeSymbolizer(absl::Duration dwarf_time) {
  return std::make_unique<FileSymbolizer>(dwarf_time);
}

}  // namespace memtrace
