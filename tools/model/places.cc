#include "tools/model/places.h"

#include <fnmatch.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/model/native_code.h"

namespace memtrace {
namespace {

bool Matches(const std::string& pattern, const FileName& file) {
  for (const std::string* name : {&file.shown, &file.recorded, &file.absolute}) {
    if (fnmatch(pattern.c_str(), name->c_str(), FNM_NOESCAPE) == 0) return true;
  }
  return false;
}

bool MatchesAny(const std::vector<std::string>& patterns, const FileName& file) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return Matches(pattern, file); });
}

}  // namespace

bool Places::Counts(uint32_t process, FrameId id) {
  const Frame& frame = profile_.frame(id);
  if (view_.own) return IsOwn(process, frame);
  return frame.kind == FrameKind::kPython || (Names(frame) && !IsLayer(frame));
}

// Whether the frame has what this view shows: a line, or a function.
bool Places::Names(const Frame& frame) const {
  if (frame.line != 0) return true;
  return view_.by == GroupBy::kFunction && profile_.function(frame.function).name != 0;
}

// operator new and the like, which are never where memory is spent.
bool Places::IsLayer(const Frame& frame) {
  if (frame.kind != FrameKind::kNative) return false;
  auto [it, fresh] = layers_.try_emplace(frame.function, false);
  if (fresh) {
    it->second = IsAllocatorLayer(profile_.string(profile_.function(frame.function).name));
  }
  return it->second;
}

bool Places::IsOwn(uint32_t process, const Frame& frame) {
  const Function& function = profile_.function(frame.function);
  if (frame.kind == FrameKind::kPython) {
    return names_.Of(process, function.filename).origin == FileOrigin::kProgram;
  }
  if (frame.kind != FrameKind::kNative || IsLayer(frame)) return false;
  const std::string& module = profile_.string(frame.module);
  if (module.empty() || IsSystemModule(module) || IsInterpreterModule(module) ||
      names_.Of(process, frame.module).origin != FileOrigin::kProgram) {
    return false;
  }
  if (frame.line == 0) return !IsStandardFunction(profile_.string(function.name));
  const std::string& source = profile_.string(function.filename);
  return !IsSystemSource(source) &&
         names_.Of(process, function.filename).origin == FileOrigin::kProgram;
}

FrameId Places::FrameOf(const Sample& sample) {
  auto [it, fresh] = frame_of_.try_emplace(Key(sample.process, sample.node), 0);
  if (fresh) it->second = FindFrame(sample);
  if (it->second != 0 || view_.own) return it->second;
  return sample.caller != 0 ? sample.caller : profile_.node(sample.node).frame;
}

// The innermost Python frame; without any, the innermost native one that names a line; without
// that, the innermost one that is no layer above malloc.
FrameId Places::FindFrame(const Sample& sample) {
  FrameId named = 0, other = 0;
  for (NodeId n = sample.node; n != 0; n = profile_.node(n).parent) {
    const FrameId id = profile_.node(n).frame;
    const Frame& frame = profile_.frame(id);
    const bool counts = Counts(sample.process, id);
    if (counts && (view_.own || frame.kind == FrameKind::kPython)) return id;
    if (counts && named == 0) named = id;
    if (other == 0 && frame.kind == FrameKind::kNative && !IsLayer(frame)) other = id;
  }
  return view_.own || named != 0 ? named : other;
}

FrameId Places::ModuleFrameOf(const Sample& sample) {
  if (sample.caller != 0) return sample.caller;
  FrameId layer = 0;
  for (NodeId n = sample.node; n != 0; n = profile_.node(n).parent) {
    const FrameId id = profile_.node(n).frame;
    const Frame& frame = profile_.frame(id);
    if (frame.kind != FrameKind::kNative) break;
    if (!IsLayer(frame)) return id;
    if (layer == 0) layer = id;
  }
  return layer;
}

bool Places::PassesFiles(uint32_t process, FrameId id) {
  if (view_.include.empty() && view_.exclude.empty()) return true;
  auto [it, fresh] = passes_.try_emplace(Key(process, id), false);
  if (fresh) {
    const FileName file = id == 0 ? FileName{} : PlaceOf(process, id).file;
    it->second = (view_.include.empty() || MatchesAny(view_.include, file)) &&
                 !MatchesAny(view_.exclude, file);
  }
  return it->second;
}

// A relative source of native code is relative to where that was built, which is nowhere here.
FileName Places::NativeSource(uint32_t process, StringId file) {
  const std::string& recorded = profile_.string(file);
  if (!recorded.empty() && recorded[0] == '/') return names_.Of(process, file);
  FileName name;
  name.recorded = recorded;
  name.absolute = name.key = name.shown = NormalizePath(recorded);
  return name;
}

Place Places::PlaceOf(uint32_t process, FrameId id) {
  const Frame& frame = profile_.frame(id);
  const Function& function = profile_.function(frame.function);
  Place place;
  place.kind = frame.kind;
  place.line = frame.line;
  place.function = profile_.string(function.name);
  const bool no_source =
      frame.kind == FrameKind::kNative && (frame.line == 0 || function.filename == 0);
  if (no_source) {
    place.file = names_.Of(process, frame.module != 0 ? frame.module : function.filename);
    place.address = frame.address;
  } else if (frame.kind == FrameKind::kNative) {
    place.file = NativeSource(process, function.filename);
  } else {
    place.file = names_.Of(process, function.filename);
  }
  return place;
}

Place Places::PlaceOfModule(uint32_t process, StringId module) {
  Place place;
  place.kind = FrameKind::kNative;
  place.file = names_.Of(process, module);
  return place;
}

std::string KeyOfPlace(Place* place, GroupBy by) {
  // An address says which call it was only where nothing better is known.
  if (!place->function.empty()) place->address = 0;
  switch (by) {
    case GroupBy::kFile:
      place->line = 0;
      place->function.clear();
      place->address = 0;
      return absl::StrCat("file:", place->file.key);
    case GroupBy::kFunction:
      place->line = 0;
      return absl::StrFormat("function:%s:%s:%x", place->file.key, place->function, place->address);
    default:
      // Native code without lines: the function, or the address, takes the line's part.
      return place->line != 0 || place->kind == FrameKind::kPython
                 ? absl::StrCat("line:", place->file.key, ":", place->line)
                 : absl::StrFormat("native:%s:%s:%x", place->file.key, place->function,
                                   place->address);
  }
}

}  // namespace memtrace
