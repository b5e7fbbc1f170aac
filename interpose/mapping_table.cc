#include "interpose/mapping_table.h"

#include <string.h>

#include "interpose/os/os.h"

namespace memtrace {

bool MappingTable::Init(bool scarce) {
  most_ = scarce ? kScarceChunks : kMostChunks;
  auto* memory =
      static_cast<char*>(os::Reserve(most_ * (sizeof(Chunk) + sizeof(Entry) + sizeof(uint32_t))));
  if (memory == nullptr) return false;
  chunks_ = reinterpret_cast<Chunk*>(memory);
  entries_ = reinterpret_cast<Entry*>(memory + most_ * sizeof(Chunk));
  unused_ = reinterpret_cast<uint32_t*>(entries_ + most_);
  entries_[0] = {0, 0, 0};
  entry_count_ = made_ = 1;
  return true;
}

// The last entry whose key is not above the address.
uint32_t MappingTable::EntryOf(uint64_t address) const {
  uint32_t low = 0, high = entry_count_;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (entries_[middle].key <= address ? low : high) = middle;
  }
  return low;
}

Mapping* MappingTable::At(uint64_t address) {
  for (uint32_t at = EntryOf(address); at < entry_count_; at++) {
    Mapping* mappings = chunks_[entries_[at].chunk].mappings;
    uint32_t low = 0, high = entries_[at].count;
    while (low < high) {
      const uint32_t middle = low + (high - low) / 2;
      if (mappings[middle].end > address) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    if (low < entries_[at].count) return mappings + low;
  }
  return nullptr;
}

// The upper half of a full chunk becomes a chunk of its own.
bool MappingTable::Divide(uint32_t at) {
  if (entry_count_ == most_ || (unused_count_ == 0 && made_ == most_)) return false;
  const uint32_t fresh = unused_count_ > 0 ? unused_[--unused_count_] : made_++;
  Mapping* full = chunks_[entries_[at].chunk].mappings;
  memcpy(chunks_[fresh].mappings, full + kChunk / 2, kChunk / 2 * sizeof(Mapping));
  memmove(entries_ + at + 2, entries_ + at + 1, (entry_count_ - at - 1) * sizeof(Entry));
  entries_[at].count = kChunk / 2;
  entries_[at + 1] = {full[kChunk / 2].start, fresh, kChunk / 2};
  entry_count_++;
  return true;
}

bool MappingTable::Insert(const Mapping& mapping) {
  uint32_t at = EntryOf(mapping.start);
  if (entries_[at].count == kChunk) {
    if (!Divide(at)) return false;
    at = EntryOf(mapping.start);
  }
  Mapping* mappings = chunks_[entries_[at].chunk].mappings;
  uint32_t place = entries_[at].count;
  while (place > 0 && mappings[place - 1].start > mapping.start) place--;
  memmove(mappings + place + 1, mappings + place, (entries_[at].count - place) * sizeof(Mapping));
  mappings[place] = mapping;
  entries_[at].count++;
  size_++;
  return true;
}

void MappingTable::Erase(Mapping* mapping) {
  const uint32_t at = EntryOf(mapping->start);
  Entry& entry = entries_[at];
  const auto place = static_cast<uint32_t>(mapping - chunks_[entry.chunk].mappings);
  memmove(mapping, mapping + 1, (entry.count - place - 1) * sizeof(Mapping));
  entry.count--;
  size_--;
  if (entry.count > 0 || at == 0) return;
  unused_[unused_count_++] = entry.chunk;
  memmove(entries_ + at, entries_ + at + 1, (entry_count_ - at - 1) * sizeof(Entry));
  entry_count_--;
}

}  // namespace memtrace
