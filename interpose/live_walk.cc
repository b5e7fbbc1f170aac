#include "interpose/live_walk.h"

#include <stdlib.h>
#include <string.h>

#include "core/live_shadow.h"
#include "interpose/live_table.h"
#include "interpose/os/os.h"

namespace memtrace {
namespace {

constexpr uint64_t kAddresses = uint64_t{1} << 47;
constexpr uint64_t kWordsOfPage = 4096 / sizeof(uint32_t);
constexpr uint64_t kPlane = LiveCoarseIndex(kLiveGranule);  // where the second one begins
constexpr uint64_t kPair = 2 * kLiveGranule;                // of heap, a word in each plane

LiveShadows Shadows() {
  LiveShadows shadows;
  memcpy(&shadows, static_cast<const void*>(&g_live_table), sizeof shadows);
  return shadows;
}

uint32_t WordAt(uint64_t base, uint64_t index) {
  return __atomic_load_n(reinterpret_cast<const uint32_t*>(base) + index, __ATOMIC_RELAXED);
}

uint32_t CodeOf(uint32_t word) { return word & ((1u << kLiveTagBits) - 1); }

bool Starts(uint32_t word) {
  const uint32_t code = CodeOf(word);
  return code != 0 && code != kLiveId && code != kLiveMarker;
}

uint64_t BytesOf(uint64_t address, uint32_t word) {
  const uint32_t code = CodeOf(word);
  if (code < kLiveSizeNext) return LiveBytesOf(code);
  const uint64_t coarse = Shadows().coarse;
  const auto further = [=](uint64_t granules) -> uint64_t {
    return WordAt(coarse, LiveCoarseIndex(address + granules * kLiveGranule)) >> kLiveTagBits;
  };
  uint64_t bytes = further(1);
  if (code != kLiveSizeNext) bytes |= further(2) << (32 - kLiveTagBits);
  return bytes < kAddresses ? bytes : kAddresses;
}

struct Visitor {
  VisitBlock visit;
  void* context;

  void operator()(uint64_t address, uint32_t word) const {
    visit(context, address, BytesOf(address, word), word >> 8);
  }
};

// f(index, word) for the words from `first` to `end` whose pages exist and which are not zero.
template <class F>
void EachWord(uint64_t base, uint64_t first, uint64_t end, F&& f) {
  constexpr uint64_t kPages = 64 * 64;
  uint64_t touched[kPages / 64];
  for (uint64_t page = first / kWordsOfPage; page * kWordsOfPage < end; page += kPages) {
    const uint64_t left = (end - page * kWordsOfPage + kWordsOfPage - 1) / kWordsOfPage;
    const uint64_t pages = left < kPages ? left : kPages;
    const bool known = os::TouchedPages(base + page * 4096, pages, touched);
    for (uint64_t i = 0; i < pages; i++) {
      if (known && (touched[i / 64] >> i % 64 & 1) == 0) continue;
      const uint64_t from = (page + i) * kWordsOfPage;
      for (uint64_t index = from < first ? first : from; index < from + kWordsOfPage; index++) {
        if (index >= end) break;
        if (const uint32_t word = WordAt(base, index)) f(index, word);
      }
    }
  }
}

void EachBlockIn(uint64_t start, uint64_t end, const Visitor& visitor) {
  const LiveShadows shadows = Shadows();
  for (uint64_t plane = 0; plane < 2; plane++) {
    const uint64_t base = plane * kPlane;
    EachWord(shadows.coarse, base + start / kPair, base + (end + kPair - 1) / kPair,
             [&](uint64_t index, uint32_t word) {
               if (!Starts(word)) return;
               const uint64_t granule = (index - base) * kPair + plane * kLiveGranule;
               visitor(granule + ((word & kLiveHalf) != 0 ? 16 : 0), word);
             });
  }
  const uint64_t finer[] = {shadows.fine, shadows.odd};
  for (uint64_t odd = 0; odd < 2; odd++) {
    if (finer[odd] == 0) continue;
    EachWord(finer[odd], LiveFineIndex(start), LiveFineIndex(end),
             [&](uint64_t index, uint32_t word) { visitor(index * 16 + odd * 8, word); });
  }
}

// The table itself is nobody's heap, and far too large to be looked through.
bool HoldsTable(uint64_t start, uint64_t end) {
  const LiveShadows shadows = Shadows();
  for (const uint64_t base : {shadows.coarse, shadows.fine, shadows.odd}) {
    if (base - start < end - start) return true;
  }
  return false;
}

// A line of /proc/self/maps as a range where blocks may be; false: it is none.
bool ParseRange(const char* line, uint64_t* start, uint64_t* end) {
  char* at;
  *start = strtoull(line, &at, 16);
  if (*at != '-') return false;
  *end = strtoull(at + 1, &at, 16);
  return strncmp(at, " rw", 3) == 0 && *end <= kAddresses && !HoldsTable(*start, *end);
}

}  // namespace

Walk EachLiveBlock(VisitBlock visit, void* context) {
  if (Shadows().coarse == 0) return Walk::kNoTable;
  constexpr size_t kText = size_t{64} << 20;
  auto* text = static_cast<char*>(os::Reserve(kText));
  if (text == nullptr) return Walk::kNoMaps;
  const size_t bytes = os::ReadFile("/proc/self/maps", text, kText - 1);
  const Visitor visitor = {visit, context};
  for (char* line = text; line < text + bytes;) {
    char* newline = static_cast<char*>(memchr(line, '\n', text + bytes - line));
    if (newline == nullptr) break;
    *newline = 0;
    uint64_t start, end;
    if (ParseRange(line, &start, &end)) EachBlockIn(start, end, visitor);
    line = newline + 1;
  }
  os::Release(text, kText);
  return bytes != 0 ? Walk::kDone : Walk::kNoMaps;
}

LiveBlock FindLiveBlock(uint64_t address) {
  const LiveShadows shadows = Shadows();
  if (shadows.coarse == 0 || address >= kAddresses || (address & 7) != 0) return {0, 0};
  uint32_t word = 0;
  if ((address & 8) == 0) {
    word = WordAt(shadows.coarse, LiveCoarseIndex(address));
    const uint32_t half = (address & 16) != 0 ? kLiveHalf : 0;
    if (!Starts(word) || (word & kLiveHalf) != half) word = 0;
  }
  const uint64_t finer = (address & 8) != 0 ? shadows.odd : shadows.fine;
  if (word == 0 && finer != 0) word = WordAt(finer, LiveFineIndex(address));
  if (word == 0) return {0, 0};
  return {BytesOf(address, word), word >> 8};
}

}  // namespace memtrace
