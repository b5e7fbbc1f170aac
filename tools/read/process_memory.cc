#include "tools/read/process_memory.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"

namespace memtrace {
namespace {

constexpr uint64_t kInMemory = uint64_t{1} << 63;  // of an entry of the page map
constexpr size_t kEntries = 8192;                  // read at once

absl::Status Refused(int error) {
  if (error == EPERM || error == EACCES) {
    return absl::PermissionDeniedError(
        "the kernel lets only the parent of the process, or root, read its memory "
        "(kernel.yama.ptrace_scope)");
  }
  if (error == ESRCH || error == ENOENT) return absl::NotFoundError("the process has ended");
  return absl::UnavailableError(
      absl::StrFormat("the process's memory cannot be read: %s", std::strerror(error)));
}

}  // namespace

PagesPresent::PagesPresent(uint64_t start, std::vector<uint8_t> present)
    : start_(start), present_(std::move(present)), before_(present_.size() + 1) {
  for (size_t i = 0; i < present_.size(); ++i) before_[i + 1] = before_[i] + present_[i];
}

bool PagesPresent::Has(uint64_t address) const {
  const uint64_t page = (address - start_) / kPageBytes;
  return address >= start_ && page < present_.size() && present_[page] != 0;
}

uint64_t PagesPresent::Bytes(uint64_t start, uint64_t end) const {
  const uint64_t limit = start_ + present_.size() * kPageBytes;
  start = std::clamp(start, start_, limit);
  end = std::clamp(end, start, limit);
  if (start == end) return 0;
  const uint64_t first = (start - start_) / kPageBytes;
  const uint64_t last = (end - 1 - start_) / kPageBytes;
  uint64_t bytes = uint64_t{before_[last + 1] - before_[first]} * kPageBytes;
  if (present_[first] != 0) bytes -= (start - start_) % kPageBytes;
  if (present_[last] != 0) bytes -= kPageBytes - 1 - (end - 1 - start_) % kPageBytes;
  return bytes;
}

ProcessMemory::ProcessMemory(int32_t pid) : pid_(pid) {
  pagemap_ = open(absl::StrFormat("/proc/%d/pagemap", pid).c_str(), O_RDONLY | O_CLOEXEC);
  if (pagemap_ < 0) open_error_ = errno;
}

ProcessMemory::~ProcessMemory() {
  if (pagemap_ >= 0) close(pagemap_);
}

absl::Status ProcessMemory::Present(uint64_t start, uint64_t end, PagesPresent* out) {
  if (pagemap_ < 0) return Refused(open_error_);
  const uint64_t first = start / kPageBytes;
  const uint64_t count = (end - start) / kPageBytes;
  if (count > kMostPages - pages_) {
    return absl::ResourceExhaustedError("it has too much address space to look through");
  }
  pages_ += count;
  std::vector<uint8_t> present(count);
  std::vector<uint64_t> entries(std::min<uint64_t>(kEntries, count));
  for (uint64_t done = 0; done < count;) {
    const uint64_t wanted = std::min<uint64_t>(entries.size(), count - done);
    const ssize_t bytes = pread(pagemap_, entries.data(), wanted * sizeof(uint64_t),
                                static_cast<off_t>((first + done) * sizeof(uint64_t)));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return Refused(errno);
    const uint64_t got = static_cast<uint64_t>(bytes) / sizeof(uint64_t);
    if (got == 0) return Refused(ESRCH);
    for (uint64_t i = 0; i < got; ++i) present[done + i] = (entries[i] & kInMemory) != 0 ? 1 : 0;
    done += got;
  }
  *out = PagesPresent(start, std::move(present));
  return absl::OkStatus();
}

absl::Status ProcessMemory::Read(uint64_t address, void* out, uint64_t bytes) const {
  iovec to = {out, bytes};
  iovec from = {reinterpret_cast<void*>(address), bytes};
  const ssize_t got = process_vm_readv(pid_, &to, 1, &from, 1, 0);
  if (got < 0) return Refused(errno);
  return static_cast<uint64_t>(got) == bytes ? absl::OkStatus() : Refused(EFAULT);
}

absl::Status ProcessMemory::ReadSparse(uint64_t address, std::vector<uint32_t>* words, bool* any) {
  const uint64_t end = address + words->size() * sizeof(uint32_t);
  const uint64_t first = address / kPageBytes * kPageBytes;
  const uint64_t last = (end + kPageBytes - 1) / kPageBytes * kPageBytes;
  std::fill(words->begin(), words->end(), 0);
  *any = false;
  PagesPresent pages;
  if (absl::Status s = Present(first, last, &pages); !s.ok()) return s;
  for (uint64_t page = first; page < last;) {
    uint64_t run = page;
    while (run < last && pages.Has(run)) run += kPageBytes;
    if (run == page) {
      page += kPageBytes;
      continue;
    }
    const uint64_t from = std::max(page, address), to = std::min(run, end);
    auto* out = reinterpret_cast<char*>(words->data()) + (from - address);
    if (absl::Status s = Read(from, out, to - from); !s.ok()) return s;
    *any = true;
    page = run;
  }
  return absl::OkStatus();
}

}  // namespace memtrace
