#include "tools/read/label_reader.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace memtrace {
namespace {

bool ContinuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::string Shortened(const std::string& name) {
  if (name.size() <= LabelReader::kMostBytes) return name;
  size_t bytes = LabelReader::kMostBytes;
  while (bytes > 0 && ContinuesCharacter(name[bytes])) --bytes;
  return name.substr(0, bytes);
}

}  // namespace

LabelReader::LabelReader(const RegionFile& region, StackDecoder* stacks, Profile* profile)
    : any_((region.header().flags.load(std::memory_order_relaxed) & kFlagLabels) != 0),
      stacks_(stacks),
      profile_(profile),
      nodes_(region, kNodes),
      paths_at_(1, 0),
      paths_(1) {}

// Climbs to the nearest known ancestor, then comes down again.
absl::StatusOr<StringId> LabelReader::Of(uint32_t node) {
  if (!any_) return 0;
  climbed_.clear();
  uint32_t path;
  for (uint32_t at = node; (path = Known(at)) == kUnknown;) {
    const absl::StatusOr<NodeRecord> record = stacks_->Record(nodes_, at);
    if (!record.ok()) return record.status();
    climbed_.emplace_back(at, record->frame);
    at = record->parent;
  }
  if (node >= paths_at_.size()) {
    paths_at_.resize(std::max<size_t>(node + size_t{1}, paths_at_.size() * 2), kUnknown);
  }
  for (; !climbed_.empty(); climbed_.pop_back()) {
    const absl::StatusOr<StringId> name = stacks_->Label(climbed_.back().second);
    if (!name.ok()) return name.status();
    paths_at_[climbed_.back().first] = path = Inside(path, *name);
  }
  return paths_[path].text;
}

uint32_t LabelReader::Inside(uint32_t path, StringId name) {
  const Path outer = paths_[path];
  if (name == 0 || name == outer.innermost || outer.nested == kMostNested) return path;
  const auto known = inside_.find({path, name});
  if (known != inside_.end()) return known->second;
  const std::string text = Shortened(profile_->string(name));
  const std::string whole =
      outer.text == 0 ? text : absl::StrCat(profile_->string(outer.text), "/", text);
  if (text_bytes_ + whole.size() > kMostText) return path;
  text_bytes_ += whole.size();
  const auto made = static_cast<uint32_t>(paths_.size());
  paths_.push_back({name, profile_->InternString(whole), outer.nested + 1});
  inside_[{path, name}] = made;
  return made;
}

}  // namespace memtrace
