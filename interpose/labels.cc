#include "interpose/labels.h"

#include <errno.h>

#include "interpose/os/os.h"
#include "interpose/site_tree.h"

namespace memtrace {

constinit std::atomic<uint32_t> g_frame_marks{0};

namespace {

constexpr uint32_t kPlaces = 8;  // of a bucket: the keys are a cache line
constexpr int kBucketsLog2 = 14;
constexpr uint32_t kBuckets = 1u << kBucketsLog2;

struct Label {
  const char* code;
  uint32_t label;
  uint16_t thread;
  uint16_t level;  // of the labels of one frame, 0: the outermost
};

struct alignas(64) Keys {
  std::atomic<const char*> frame[kPlaces];  // nullptr: free
};

struct Table {
  Keys keys[kBuckets];
  Label labels[kBuckets][kPlaces];
};

// Reserved at the first label; pages are taken as they are touched.
constinit std::atomic<Table*> g_table{nullptr};

Table* MakeTable() {
  Table* table = g_table.load(std::memory_order_acquire);
  if (table != nullptr) return table;
  auto* made = static_cast<Table*>(os::Reserve(sizeof(Table)));
  if (made == nullptr || g_table.compare_exchange_strong(table, made, std::memory_order_acq_rel)) {
    return made;
  }
  os::Release(made, sizeof(Table));
  return table;
}

// The two buckets of a frame.
struct Home {
  uint32_t bucket[2];
};
Home HomeOf(const char* frame) {
  const uint64_t hash = (reinterpret_cast<uint64_t>(frame) >> 3) * 0x9e3779b97f4a7c15ull;
  return {static_cast<uint32_t>(hash >> (64 - kBucketsLog2)),
          static_cast<uint32_t>(hash >> (64 - 2 * kBucketsLog2)) % kBuckets};
}

struct Place {
  std::atomic<const char*>* key = nullptr;
  Label* label = nullptr;
};

// Calls f(place, key) for each place that the frame may have, until it returns true.
template <class F>
bool AnyPlace(Table* table, const char* frame, F&& f) {
  const Home home = HomeOf(frame);
  const int buckets = home.bucket[0] == home.bucket[1] ? 1 : 2;
  for (int b = 0; b < buckets; b++) {
    const uint32_t bucket = home.bucket[b];
    for (uint32_t i = 0; i < kPlaces; i++) {
      auto& key = table->keys[bucket].frame[i];
      const char* there = key.load(std::memory_order_acquire);
      if (f(Place{&key, &table->labels[bucket][i]}, there)) return true;
    }
  }
  return false;
}

void Free(const Place& place) {
  place.key->store(nullptr, std::memory_order_release);
  g_frame_marks.fetch_sub(1, std::memory_order_relaxed);
}

// Labels of a frame that has ended, which another one has the address of.
void FreeOthers(Table* table, const char* frame, const char* code) {
  AnyPlace(table, frame, [&](const Place& place, const char* there) {
    if (there == frame && place.label->code != code) Free(place);
    return false;
  });
}

}  // namespace

bool AddLabel(const char* frame, const char* code, uint32_t label, uint32_t thread) {
  Table* table = MakeTable();
  if (table == nullptr) return false;
  FreeOthers(table, frame, code);
  uint16_t level = 0;
  AnyPlace(table, frame, [&](const Place& place, const char* there) {
    if (there == frame && place.label->level >= level) level = place.label->level + 1;
    return false;
  });
  if (level >= kMaxLabelsOfFrame) return false;
  const bool added = AnyPlace(table, frame, [&](const Place& place, const char* there) {
    if (there != nullptr ||
        !place.key->compare_exchange_strong(there, frame, std::memory_order_acq_rel)) {
      return false;
    }
    *place.label = {code, label, static_cast<uint16_t>(thread), level};
    return true;
  });
  if (added) g_frame_marks.fetch_add(1, std::memory_order_relaxed);
  return added;
}

bool RemoveLabel(const char* frame, uint32_t label) {
  Table* table = g_table.load(std::memory_order_acquire);
  if (table == nullptr) return false;
  Place innermost;
  AnyPlace(table, frame, [&](const Place& place, const char* there) {
    const bool is_it = there == frame && place.label->label == label;
    if (is_it && (innermost.label == nullptr || place.label->level > innermost.label->level)) {
      innermost = place;
    }
    return false;
  });
  if (innermost.label == nullptr) return false;
  Free(innermost);
  return true;
}

bool RemoveStrayLabel(uint32_t label, uint32_t thread) {
  Table* table = g_table.load(std::memory_order_acquire);
  if (table == nullptr) return false;
  for (uint32_t bucket = 0; bucket < kBuckets; bucket++) {
    for (uint32_t i = 0; i < kPlaces; i++) {
      auto& key = table->keys[bucket].frame[i];
      if (key.load(std::memory_order_acquire) == nullptr) continue;
      Label& there = table->labels[bucket][i];
      if (there.label != label || there.thread != static_cast<uint16_t>(thread)) continue;
      Free({&key, &there});
      return true;
    }
  }
  return false;
}

__attribute__((noinline)) uint32_t LabelNode(uint32_t node, const char* frame, const char* code) {
  Table* table = g_table.load(std::memory_order_acquire);
  if (table == nullptr) return node;
  uint32_t labels[kMaxLabelsOfFrame] = {};
  bool any = false;
  AnyPlace(table, frame, [&](const Place& place, const char* there) {
    if (there != frame || place.label->code != code) return false;
    any = true;
    labels[place.label->level % kMaxLabelsOfFrame] = place.label->label;
    return false;
  });
  if (!any) return node;
  const int saved_errno = errno;
  for (uint32_t label : labels) {
    const uint32_t child = label != 0 ? InternNode(node, label) : 0;
    if (child != 0) node = child;
  }
  errno = saved_errno;
  return node;
}

}  // namespace memtrace
