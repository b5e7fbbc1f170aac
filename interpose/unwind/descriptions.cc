#include "interpose/unwind/descriptions.h"

#include "interpose/os/os.h"

namespace memtrace::unwind {
namespace {

// DW_EH_PE_*: how an address is written.
constexpr uint8_t kAbsolute = 0x00, kUnsigned4 = 0x03, kSigned4 = 0x0b, kSigned8 = 0x0c;
constexpr uint8_t kRelative = 0x10, kDataRelative = 0x30, kOmitted = 0xff;

// False: written in a way that compilers for x86-64 do not use.
bool TakeAddress(Bytes* bytes, uint8_t encoding, uintptr_t* out) {
  const auto here = reinterpret_cast<uintptr_t>(bytes->at);
  int64_t value;
  switch (encoding & 0x0f) {
    case kAbsolute:
    case kSigned8:
      value = bytes->Take<int64_t>();
      break;
    case kUnsigned4:
      value = bytes->Take<uint32_t>();
      break;
    case kSigned4:
      value = bytes->Take<int32_t>();
      break;
    default:
      return false;
  }
  const uint8_t base = encoding & 0x70;
  if (base != kAbsolute && base != kRelative) return false;
  *out = static_cast<uintptr_t>(value) + (base == kRelative ? here : 0);
  return true;
}

// The bytes of an entry after its length; empty: none, or a kind that is not used in .eh_frame.
Bytes Entry(const uint8_t* at) {
  uint32_t length;
  memcpy(&length, at, sizeof length);
  if (length == 0 || length == 0xffffffff) return {at, at};
  return {at + sizeof length, at + sizeof length + length};
}

struct Common {
  uint8_t address_encoding = kAbsolute;
  bool has_data = false;  // 'z'
};

bool ReadCommon(Bytes cie, Description* out, Common* common) {
  if (cie.Take<uint32_t>() != 0) return false;  // not a CIE
  const auto version = cie.Take<uint8_t>();
  if (version != 1 && version != 3) return false;
  const char* letters = reinterpret_cast<const char*>(cie.at);
  cie.Skip(strnlen(letters, static_cast<size_t>(cie.end - cie.at)) + 1);
  if (letters[0] != 0 && letters[0] != 'z') return false;
  out->code_factor = cie.Unsigned();
  out->data_factor = cie.Signed();
  const uint64_t return_column = version == 1 ? cie.Take<uint8_t>() : cie.Unsigned();
  if (return_column != 16) return false;
  if (letters[0] == 'z') {
    common->has_data = true;
    const uint64_t bytes = cie.Unsigned();
    Bytes data = cie;
    cie.Skip(bytes);
    for (const char* letter = letters + 1; *letter != 0; letter++) {
      if (*letter == 'R') {
        common->address_encoding = data.Take<uint8_t>();
      } else if (*letter == 'L') {
        data.Skip(1);
      } else if (*letter == 'P') {
        const auto encoding = data.Take<uint8_t>();
        uintptr_t personality;
        if (encoding != kOmitted && !TakeAddress(&data, encoding & 0x7f, &personality))
          return false;
      } else if (*letter == 'S') {
        out->is_signal = true;
      } else if (*letter != 'B') {
        return false;
      }
    }
  }
  out->common = cie;
  return true;
}

bool ReadDescription(const uint8_t* at, Description* out) {
  Bytes fde = Entry(at);
  if (fde.empty()) return false;
  const uint8_t* back_from = fde.at;
  const auto back = fde.Take<uint32_t>();
  Common common;
  *out = {};
  if (back == 0 || !ReadCommon(Entry(back_from - back), out, &common)) return false;
  if (!TakeAddress(&fde, common.address_encoding, &out->range.start)) return false;
  uintptr_t length;
  if (!TakeAddress(&fde, common.address_encoding & 0x0f, &length)) return false;
  out->range.end = out->range.start + length;
  if (common.has_data) fde.Skip(fde.Unsigned());
  out->own = fde;
  return true;
}

// The header's table is sorted: (address, description), both relative to the header.
struct TableEntry {
  int32_t address;
  int32_t description;
};

}  // namespace

bool FindDescription(uintptr_t address, Description* out) {
  const auto* header = static_cast<const uint8_t*>(os::UnwindTable(address));
  // Version 1; a table of pairs of 4 bytes; their number in 4 bytes.
  if (header == nullptr || header[0] != 1 || header[2] != kUnsigned4 ||
      header[3] != (kDataRelative | kSigned4)) {
    return false;
  }
  const uint8_t* at = header + 4 + ((header[1] & 0x0f) == kSigned8 ? 8 : 4);
  uint32_t count;
  memcpy(&count, at, sizeof count);
  const auto* table = reinterpret_cast<const TableEntry*>(at + sizeof count);
  const auto offset = static_cast<int64_t>(address - reinterpret_cast<uintptr_t>(header));
  uint32_t low = 0, high = count;  // the first entry behind the address
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (table[middle].address <= offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low > 0 && ReadDescription(header + table[low - 1].description, out) &&
         out->range.Holds(address);
}

}  // namespace memtrace::unwind
