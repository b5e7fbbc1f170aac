// Address ranges that are mapped at present, sorted: disjoint intervals in private memory.
//
// Two levels: a directory of chunks, each with up to kChunk intervals in order. An insertion moves
// half a chunk at most and, when one is full and divided, the directory behind it. A chunk's key
// says from which address on intervals belong there; it stays when they change, so an interval may
// be shortened in place.
//
// Threading: none of its own; the caller holds a lock. When full: Insert says so.

#ifndef MEMTRACE_INTERPOSE_MAPPING_TABLE_H_
#define MEMTRACE_INTERPOSE_MAPPING_TABLE_H_

#include <cstdint>

#include "core/layout.h"

namespace memtrace {

struct Mapping {
  static constexpr uint32_t kNoRecord = ~uint32_t{0};

  uint64_t start;
  uint64_t end;
  uint64_t age;     // number of the event that made it
  uint32_t site;    // 0: an allocator's
  uint32_t block;   // parts of one mapping have one number
  uint32_t record;  // in the section kMappings; kNoRecord: the section was full
  MappingKind kind;

  uint64_t bytes() const { return end - start; }
};

class MappingTable {
 public:
  // scarce: address space is. False: refused.
  bool Init(bool scarce);
  bool ready() const { return chunks_ != nullptr; }

  // The first interval that ends behind the address; nullptr: none. Its bounds may be drawn in.
  // Valid until the next Insert or Erase.
  Mapping* At(uint64_t address);
  // It must not meet any that is there. False: full.
  bool Insert(const Mapping& mapping);
  void Erase(Mapping* mapping);
  uint64_t size() const { return size_; }

 private:
  static constexpr uint32_t kChunk = 128;
  static constexpr uint32_t kMostChunks = 16384;  // of more than a million intervals
  static constexpr uint32_t kScarceChunks = 128;

  struct Chunk {
    Mapping mappings[kChunk];
  };
  struct Entry {
    uint64_t key;
    uint32_t chunk;
    uint32_t count;
  };

  uint32_t EntryOf(uint64_t address) const;
  bool Divide(uint32_t at);

  Entry* entries_ = nullptr;  // the first has key 0
  Chunk* chunks_ = nullptr;
  uint32_t* unused_ = nullptr;  // chunks that were given back
  uint32_t entry_count_ = 0;
  uint32_t unused_count_ = 0;
  uint32_t made_ = 0;  // chunks that were ever used
  uint32_t most_ = 0;
  uint64_t size_ = 0;
};

}  // namespace memtrace

#endif  // MEMTRACE_INTERPOSE_MAPPING_TABLE_H_
