#include "tools/read/section_view.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "absl/strings/str_format.h"

namespace memtrace {
namespace {

// Longest text believed: command lines may be long (the kernel's limit is 128 KiB for one argument
// and a few MiB for all).
constexpr uint32_t kMaxStringBytes = 8 << 20;

// Length of the valid UTF-8 sequence at text[i], 0 if there is none.
size_t SequenceLength(const std::string& text, size_t i) {
  const auto byte = [&](size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
  };
  const unsigned lead = byte(i);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(i + 1);
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
      (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
    return 0;  // overlong, a surrogate, or beyond U+10FFFF
  }
  return length;
}

}  // namespace

uint64_t SectionView::Count() const {
  const uint64_t used = region_.header().sections[id_].used.load(std::memory_order_acquire);
  // What is reserved is backed by memory, so a count far beyond what the file takes up is a lie.
  // The factor is for copies in which pages of zeros became holes.
  const uint64_t record = RecordBytes(id_);
  const auto most = [&] { return (4 * region_.allocated() + kHeaderBytes) / record; };
  if (used > most()) region_.Refresh();
  return std::min(used, most());
}

const std::byte* SectionView::Contiguous(uint64_t start, uint64_t size, uint64_t alignment) const {
  const ExtentPosition position = LocateByte(start);
  if (position.extent >= kMaxExtents) return nullptr;
  const uint64_t extent_bytes = ExtentBytes(position.extent);
  if (size > extent_bytes || position.offset > extent_bytes - size) return nullptr;
  const uint64_t extent =
      region_.header().sections[id_].extents[position.extent].load(std::memory_order_acquire);
  if (extent < kHeaderBytes || extent > uint64_t{1} << 48) return nullptr;
  if ((extent + position.offset) % alignment != 0) return nullptr;
  return region_.At(extent + position.offset, size);
}

bool SectionView::CopyBytes(uint64_t start, void* out, uint64_t size) const {
  auto* target = static_cast<std::byte*>(out);
  while (size > 0) {
    const ExtentPosition position = LocateByte(start);
    if (position.extent >= kMaxExtents) return false;
    const uint64_t piece = std::min(size, ExtentBytes(position.extent) - position.offset);
    const std::byte* source = Contiguous(start, piece, 1);
    if (source == nullptr) return false;
    std::memcpy(target, source, piece);
    start += piece;
    target += piece;
    size -= piece;
  }
  return true;
}

absl::StatusOr<std::string> ReadRawString(const RegionFile& region, uint32_t id) {
  if (id == 0) return std::string();
  const SectionView strings(region, kStrings);
  const uint64_t start = uint64_t{id} * 8;
  StringRecord record;
  if (start >= strings.Count() || !strings.CopyBytes(start, &record, sizeof(record))) {
    return absl::DataLossError(
        absl::StrFormat("%s: damaged: text %d is outside the file", region.path(), id));
  }
  if (record.bytes > kMaxStringBytes || record.bytes > region.size()) {
    return absl::DataLossError(absl::StrFormat("%s: damaged: text %d says it has %d bytes",
                                               region.path(), id, record.bytes));
  }
  std::string text(record.bytes, '\0');
  if (!strings.CopyBytes(start + sizeof(record), text.data(), text.size())) {
    return absl::DataLossError(
        absl::StrFormat("%s: damaged: text %d runs out of the file", region.path(), id));
  }
  return text;
}

absl::StatusOr<std::string> ReadString(const RegionFile& region, uint32_t id) {
  absl::StatusOr<std::string> text = ReadRawString(region, id);
  if (text.ok()) *text = ValidUtf8(*text);
  return text;
}

std::string ValidUtf8(const std::string& text) {
  std::string valid;
  for (size_t i = 0; i < text.size();) {
    const size_t length = SequenceLength(text, i);
    if (length == 0) {
      valid += absl::StrFormat("\\x%02x", static_cast<unsigned char>(text[i]));
      ++i;
    } else {
      valid.append(text, i, length);
      i += length;
    }
  }
  return valid;
}

}  // namespace memtrace
