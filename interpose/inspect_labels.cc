// Labels, as inspect.h offers them.

#define MEMTRACE_BUILDING_LIBRARY
#include <string.h>

#include <atomic>

#include "interpose/inspect.h"
#include "interpose/labels.h"
#include "interpose/python/label_frames.h"
#include "interpose/recorder.h"
#include "interpose/region.h"
#include "interpose/site_tree.h"

namespace memtrace {
namespace {

constexpr size_t kMaxName = 255;
constexpr int kMaxDepth = 64;

constinit std::atomic<uint32_t> g_passed{0};  // string: the file whose frames pass labels on

// The calling thread's state, kept from signal handlers meanwhile. A thread that records nothing at
// present enters and leaves labels all the same.
class OwnThread {
 public:
  OwnThread() : t_(t_thread) {
    // Not set up: a thread's first event, or a forked child's; or each of its events is slow.
    if (t_ == nullptr || t_->busy == Busy::kClosed) {
      t_ = EnterReady();
    } else {
      before_ = t_->busy;
      rests_ = before_ == t_->rest;
      t_->busy = Busy::kRecording;
    }
  }
  ~OwnThread() {
    // Meanwhile another thread may have stopped the recording: then it rests in another state.
    if (t_ != nullptr) t_->busy = rests_ ? t_->rest : before_;
  }
  OwnThread(const OwnThread&) = delete;
  OwnThread& operator=(const OwnThread&) = delete;

  Thread* get() const { return t_; }

 private:
  Thread* t_;
  Busy before_ = Busy::kClosed;
  bool rests_ = true;
};

// Without the bytes of a character that has been cut.
size_t BytesOf(const char* name) {
  size_t bytes = strnlen(name, kMaxName + 1);
  if (bytes <= kMaxName) return bytes;
  bytes = kMaxName;
  while (bytes > 0 && (static_cast<unsigned char>(name[bytes]) & 0xc0) == 0x80) bytes--;
  return bytes;
}

void SetFlag(RegionFlag flag) {
  std::atomic<uint32_t>& flags = g_region.header()->flags;
  if ((flags.load(std::memory_order_relaxed) & flag) == 0) {
    flags.fetch_or(flag, std::memory_order_relaxed);
  }
}

bool IsLabel(uint32_t label) { return label != 0 && label < kMaxFrames; }

}  // namespace
}  // namespace memtrace

using namespace memtrace;

uint32_t memtrace_label(const char* name) {
  const size_t bytes = name != nullptr ? BytesOf(name) : 0;
  if (bytes == 0) return 0;
  const OwnThread thread;
  if (thread.get() == nullptr) return 0;
  const uint32_t text = InternString(name, bytes);
  const uint32_t label = text != 0 ? InternFrame(FrameKind::kLabel, text, 0, 0) : 0;
  return label;
}

int memtrace_label_enter(uint32_t label, int depth) {
  if (!IsLabel(label) || depth < 0 || depth > kMaxDepth) return 0;
  const OwnThread thread;
  Thread* t = thread.get();
  if (t == nullptr) return 0;
  const python::LabelFrame frame =
      python::FindLabelFrame(t, depth, g_passed.load(std::memory_order_relaxed));
  if (frame.frame == nullptr) return 0;
  SetFlag(kFlagLabels);
  python::ExpectLabels();
  if (!AddLabel(frame.frame, frame.code, label, t->slot)) {
    SetFlag(kFlagLabelsLost);
    return 0;
  }
  python::ForgetFrame(t, frame);
  return 1;
}

int memtrace_label_exit(uint32_t label, int depth, int stray) {
  if (!IsLabel(label) || depth < 0 || depth > kMaxDepth) return 0;
  const OwnThread thread;
  Thread* t = thread.get();
  if (t == nullptr) return 0;
  const python::LabelFrame frame =
      python::FindLabelFrame(t, depth, g_passed.load(std::memory_order_relaxed));
  if (frame.frame != nullptr && RemoveLabel(frame.frame, label)) {
    python::ForgetFrame(t, frame);
    return 1;
  }
  if (stray == 0 || !RemoveStrayLabel(label, t->slot)) return 0;
  g_stale.fetch_add(1, std::memory_order_acq_rel);
  return 1;
}

void memtrace_label_through(const char* filename) {
  const OwnThread thread;
  if (thread.get() == nullptr) return;
  g_passed.store(InternString(filename, strlen(filename)), std::memory_order_relaxed);
}
