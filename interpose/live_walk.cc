#include "interpose/live_walk.h"

#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "core/live_shadow.h"
#include "interpose/live_table.h"
#include "interpose/os/os.h"

namespace memtrace {

// The table's parts.
struct LiveShadow {
  static const Shadow& Coarse() { return g_live_table.coarse_; }
  static const Shadow& Finer(bool odd) { return odd ? g_live_table.odd_ : g_live_table.fine_; }
};

namespace {

constexpr uint64_t kAddresses = uint64_t{1} << 47;
constexpr uint64_t kWordsOfPage = 4096 / sizeof(uint32_t);
constexpr uint64_t kPlane = LiveCoarseIndex(kLiveGranule);  // where the second one begins
constexpr uint64_t kPair = 2 * kLiveGranule;                // of heap, a word in each plane

uint32_t WordAt(const Shadow& shadow, uint64_t index) {
  uint64_t next;
  const uint32_t* flat = shadow.flat();
  const uint32_t* word = flat != nullptr ? flat + index : shadow.Leaf(index, &next);
  return word != nullptr ? __atomic_load_n(word, __ATOMIC_RELAXED) : 0;
}

uint32_t CodeOf(uint32_t word) { return word & ((1u << kLiveTagBits) - 1); }

bool Starts(uint32_t word) {
  const uint32_t code = CodeOf(word);
  return code != 0 && code != kLiveId && code != kLiveMarker;
}

uint64_t BytesOf(uint64_t address, uint32_t word) {
  const uint32_t code = CodeOf(word);
  if (code < kLiveSizeNext) return LiveBytesOf(code);
  const auto further = [=](uint64_t granules) -> uint64_t {
    return WordAt(LiveShadow::Coarse(), LiveCoarseIndex(address + granules * kLiveGranule)) >>
           kLiveTagBits;
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

// f(index, word) for the words from `first` to `end` that are not zero.
template <class F>
void EachWord(const uint32_t* words, uint64_t first, uint64_t end, F&& f) {
  for (uint64_t index = first; index < end; index++, words++) {
    if (const uint32_t word = __atomic_load_n(words, __ATOMIC_RELAXED)) f(index, word);
  }
}

// The same for a flat array, of the pages that exist.
template <class F>
void EachWordOfPages(const uint32_t* flat, uint64_t first, uint64_t end, F&& f) {
  constexpr uint64_t kPages = 64 * 64;
  uint64_t touched[kPages / 64];
  for (uint64_t page = first / kWordsOfPage; page * kWordsOfPage < end; page += kPages) {
    const uint64_t left = (end - page * kWordsOfPage + kWordsOfPage - 1) / kWordsOfPage;
    const uint64_t pages = left < kPages ? left : kPages;
    const auto start = reinterpret_cast<uintptr_t>(flat + page * kWordsOfPage);
    const bool known = os::TouchedPages(start, pages, touched);
    for (uint64_t i = 0; i < pages; i++) {
      if (known && (touched[i / 64] >> i % 64 & 1) == 0) continue;
      const uint64_t from = std::max(first, (page + i) * kWordsOfPage);
      EachWord(flat + from, from, std::min(end, (page + i + 1) * kWordsOfPage), f);
    }
  }
}

template <class F>
void EachWordOf(const Shadow& shadow, uint64_t first, uint64_t end, F&& f) {
  if (shadow.flat() != nullptr) return EachWordOfPages(shadow.flat(), first, end, f);
  for (uint64_t index = first, next; index < end; index = next) {
    const uint32_t* words = shadow.Leaf(index, &next);
    if (words != nullptr) EachWord(words, index, std::min(end, next), f);
  }
}

void EachBlockIn(uint64_t start, uint64_t end, const Visitor& visitor) {
  for (uint64_t plane = 0; plane < 2; plane++) {
    const uint64_t base = plane * kPlane;
    EachWordOf(LiveShadow::Coarse(), base + start / kPair, base + (end + kPair - 1) / kPair,
               [&](uint64_t index, uint32_t word) {
                 if (!Starts(word)) return;
                 const uint64_t granule = (index - base) * kPair + plane * kLiveGranule;
                 visitor(granule + ((word & kLiveHalf) != 0 ? 16 : 0), word);
               });
  }
  for (uint64_t odd = 0; odd < 2; odd++) {
    EachWordOf(LiveShadow::Finer(odd != 0), LiveFineIndex(start), LiveFineIndex(end),
               [&](uint64_t index, uint32_t word) { visitor(index * 16 + odd * 8, word); });
  }
}

// The table itself is nobody's heap, and far too large to be looked through.
bool HoldsTable(uint64_t start, uint64_t end) {
  for (const Shadow* shadow :
       {&LiveShadow::Coarse(), &LiveShadow::Finer(false), &LiveShadow::Finer(true)}) {
    if (reinterpret_cast<uintptr_t>(shadow->flat()) - start < end - start) return true;
  }
  return false;
}

// Larger mappings are a sanitizer's shadow memory: 14 TB, whose part of the table takes seconds to
// look through page by page.
constexpr uint64_t kMostHeap = uint64_t{8} << 40;

// A line of /proc/self/maps as a range where blocks may be; false: it is none.
bool ParseRange(const char* line, uint64_t* start, uint64_t* end) {
  char* at;
  *start = strtoull(line, &at, 16);
  if (*at != '-') return false;
  *end = strtoull(at + 1, &at, 16);
  return strncmp(at, " rw", 3) == 0 && *end <= kAddresses && *end - *start <= kMostHeap &&
         !HoldsTable(*start, *end);
}

}  // namespace

bool EachLiveBlock(VisitBlock visit, void* context) {
  constexpr size_t kText = size_t{64} << 20;
  auto* text = static_cast<char*>(os::Reserve(kText));
  if (text == nullptr) return false;
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
  return bytes != 0;
}

LiveBlock FindLiveBlock(uint64_t address) {
  if (address >= kAddresses || (address & 7) != 0) return {0, 0};
  const bool odd = (address & 8) != 0;
  uint32_t word = odd ? 0 : WordAt(LiveShadow::Coarse(), LiveCoarseIndex(address));
  const uint32_t half = (address & 16) != 0 ? kLiveHalf : 0;
  if (!Starts(word) || (word & kLiveHalf) != half) {
    word = WordAt(LiveShadow::Finer(odd), LiveFineIndex(address));
  }
  if (word == 0) return {0, 0};
  return {BytesOf(address, word), word >> 8};
}

}  // namespace memtrace
