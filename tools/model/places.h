// Which frame of a stack is the place that a sample belongs to, and what that place is.
//
// One Places answers for one profile under one view, and remembers what it worked out for each
// (process, frame) and each (process, stack): the work grows with the number of different ones and
// not with that of the samples. aggregate.h says what the place of a sample is.
//
// Threading: none.

#ifndef MEMTRACE_TOOLS_MODEL_PLACES_H_
#define MEMTRACE_TOOLS_MODEL_PLACES_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "tools/model/aggregate.h"

namespace memtrace {

class Places {
 public:
  using Key = std::pair<uint32_t, uint32_t>;  // process, and a frame or a node

  // Both must outlive it.
  Places(const Profile& profile, const View& view)
      : profile_(profile), view_(view), names_(profile, view.mappings) {}

  // Whether a frame can own a sample. Native code that is known by an address alone tells least: it
  // owns what nothing else does.
  bool Counts(uint32_t process, FrameId id);

  // The frame that a sample belongs to; 0: none.
  FrameId FrameOf(const Sample& sample);

  // The native frame whose code called the allocator; 0: the interpreter's did.
  FrameId ModuleFrameOf(const Sample& sample);

  // Whether the view's --include and --exclude let the file of a frame's place through.
  bool PassesFiles(uint32_t process, FrameId id);

  Place PlaceOf(uint32_t process, FrameId id);
  Place PlaceOfModule(uint32_t process, StringId module);

 private:
  bool Names(const Frame& frame) const;
  bool IsLayer(const Frame& frame);
  bool IsOwn(uint32_t process, const Frame& frame);
  FrameId FindFrame(const Sample& sample);
  FileName NativeSource(uint32_t process, StringId file);

  const Profile& profile_;
  const View& view_;
  FileNames names_;
  absl::flat_hash_map<FunctionId, bool> layers_;
  absl::flat_hash_map<Key, FrameId> frame_of_;
  absl::flat_hash_map<Key, bool> passes_;
};

// What equal places have in common, in any profile: what the grouping leaves out is taken out of
// the place, too.
std::string KeyOfPlace(Place* place, GroupBy by);

}  // namespace memtrace

#endif  // MEMTRACE_TOOLS_MODEL_PLACES_H_
