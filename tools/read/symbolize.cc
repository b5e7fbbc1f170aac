#include "tools/read/symbolize.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "tools/read/debug_files.h"
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

  // Whether there is any. Asking when there is none means that something was left out.
  bool Any() {
    ran_out_ |= left_ <= absl::ZeroDuration();
    return !ran_out_;
  }
  bool ran_out() const { return ran_out_; }

  template <typename Work>
  void Spend(Work work) {
    const absl::Time start = absl::Now();
    work();
    left_ -= absl::Now() - start;
  }

 private:
  absl::Duration left_;
  bool ran_out_ = false;
};

// Debug information and symbols of one module.
class ModuleSymbols {
 public:
  ModuleSymbols(const Module& module, const DebugFiles& files, TimeLeft* time) : time_(time) {
    file_ = files.OpenModule(module);
    if (file_ != nullptr) symbols_.Load(file_->elf());
    if (file_ == nullptr || !file_->HasUnits()) debug_file_ = files.OpenDebug(module, file_.get());
    if (debug_file_ != nullptr) {
      ElfSymbols full;
      full.Load(debug_file_->elf());
      if (!full.empty()) symbols_ = std::move(full);
    }
    with_dwarf_ = debug_file_ != nullptr ? debug_file_.get() : file_.get();
    if (with_dwarf_ != nullptr && !PrepareDwarf(files)) with_dwarf_ = nullptr;
  }

  const NativeFrames& Resolve(uint64_t address) {
    auto [it, fresh] = known_.try_emplace(address);
    if (fresh) it->second = Find(address);
    return it->second;
  }

 private:
  // Whether there is debug information and all of it can be read.
  bool PrepareDwarf(const DebugFiles& files) {
    if (!with_dwarf_->HasUnits()) return false;
    bool needed = false;
    alternate_ = files.OpenAlternate(with_dwarf_, &needed);
    if (!needed) return true;
    if (alternate_ == nullptr || alternate_->dwarf() == nullptr) return false;
    dwarf_setalt(with_dwarf_->dwarf(), alternate_->dwarf());
    return true;
  }

  NativeFrames Find(uint64_t address) {
    NativeFrames frames;
    if (with_dwarf_ != nullptr && time_->Any()) {
      time_->Spend([&] { frames = FromDwarf(address); });
    }
    if (frames.empty()) frames.emplace_back();
    if (frames.back().function.empty()) {
      if (const char* name = symbols_.Find(address)) {
        frames.back().function = ValidUtf8(Demangle(name));
      }
    }
    return frames;
  }

  NativeFrames FromDwarf(uint64_t address) {
    if (!inline_frames_.has_value()) inline_frames_.emplace(with_dwarf_->dwarf(), &symbols_);
    return inline_frames_->At(address);
  }

  TimeLeft* const time_;
  // In this order: one that refers to another is closed before it.
  std::unique_ptr<ElfFile> alternate_;
  std::unique_ptr<ElfFile> file_;        // the module's own, null: not found
  std::unique_ptr<ElfFile> debug_file_;  // null: none, or file_ has debug information itself
  ElfFile* with_dwarf_ = nullptr;        // one of these, or null
  ElfSymbols symbols_;                   // of one of these
  std::optional<InlineFrames> inline_frames_;
  absl::flat_hash_map<uint64_t, NativeFrames> known_;
};

class FileSymbolizer : public Symbolizer {
 public:
  FileSymbolizer(SymbolSources sources, absl::Duration dwarf_time)
      : files_(std::move(sources)), time_(dwarf_time) {}

  NativeFrames Resolve(const Module& module, uint64_t address) override {
    if (address == 0 || module.path.empty()) return NativeFrames(1);
    auto& symbols = modules_[{module.path, module.build_id}];
    if (symbols == nullptr) symbols = std::make_unique<ModuleSymbols>(module, files_, &time_);
    return symbols->Resolve(address - 1);
  }

  bool ran_out_of_time() const override { return time_.ran_out(); }

 private:
  const DebugFiles files_;
  TimeLeft time_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<ModuleSymbols>> modules_;
};

}  // namespace

std::unique_ptr<Symbolizer> MakeSymbolizer(SymbolSources sources, absl::Duration dwarf_time) {
  return std::make_unique<FileSymbolizer>(std::move(sources), dwarf_time);
}

}  // namespace memtrace
