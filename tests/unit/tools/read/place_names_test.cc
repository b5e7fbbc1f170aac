#include "tools/read/place_names.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "tests/unit/tools/read/region_builder.h"
#include "tools/model/file_names.h"
#include "tools/read/elf_file.h"

namespace memtrace {
namespace {

using ::testing::EndsWith;
using testing::RegionBuilder;

__attribute__((noinline)) void* ReturnAddress() { return __builtin_return_address(0); }

__attribute__((noinline)) void* CallSite() {
  void* address = ReturnAddress();  // the line that is looked for
  asm volatile("" : : "r"(address) : "memory");
  return address;
}
constexpr int kCallLine = __LINE__ - 4;

std::string NameOf(RegionBuilder* builder, uint32_t site, Symbolizer* symbolizer) {
  const std::string bytes = builder->Bytes();
  auto region = RegionFile::FromBytes(bytes.data(), bytes.size(), "test");
  if (!region.ok()) return std::string(region.status().message());
  return PlaceNames(**region, symbolizer).OfSite(site);
}

TEST(PlaceNames, PythonLinesBelowTheWorkingFolder) {
  RegionBuilder builder;
  builder.header().working_dir = builder.String("/home/me");
  const uint32_t slot = builder.Thread(1, "one");
  const uint32_t near = builder.PythonFrame(builder.Code("f", "/home/me/a/b.py", 1), 7);
  const uint32_t far = builder.PythonFrame(builder.Code("g", "/opt/c.py", 1), 8);
  const uint32_t outer = builder.Node(0, far);
  const uint32_t at_far = builder.Site(outer, 0, Domain::kPythonObj, slot);
  const uint32_t at_near = builder.Site(builder.Node(outer, near), 0, Domain::kPythonObj, slot);
  EXPECT_EQ(NameOf(&builder, at_near, nullptr), "a/b.py:7");
  EXPECT_EQ(NameOf(&builder, at_far, nullptr), "/opt/c.py:8");
  EXPECT_EQ(NameOf(&builder, at_far + 100, nullptr), "(unknown)");
}

// This program, as a region would have it.
class PlaceNamesOfThisProgram : public ::testing::Test {
 protected:
  PlaceNamesOfThisProgram() {
    char path[PATH_MAX] = {};
    EXPECT_GT(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
    path_ = path;
    void* const address = CallSite();
    Dl_info info = {};
    EXPECT_NE(dladdr(address, &info), 0);
    address_ = reinterpret_cast<uint64_t>(address) - reinterpret_cast<uint64_t>(info.dli_fbase);
    const uint32_t slot = builder_.Thread(1, "one");
    module_ = builder_.Module(path_);
    site_ = builder_.Site(0, builder_.NativeFrame(module_, address_), Domain::kMalloc, slot);
  }

  void SetBuildId(const std::string& bytes) {
    ModuleRecord& record = builder_.ModuleAt(module_);
    ASSERT_LE(bytes.size(), sizeof(record.build_id));
    std::memcpy(record.build_id, bytes.data(), bytes.size());
    record.build_id_bytes = static_cast<uint32_t>(bytes.size());
  }

  RegionBuilder builder_;
  std::string path_;
  uint64_t address_ = 0;
  uint32_t module_ = 0, site_ = 0;
};

TEST_F(PlaceNamesOfThisProgram, AreLines) {
  SetBuildId(absl::HexStringToBytes(ElfFile(path_).BuildId()));
  EXPECT_THAT(NameOf(&builder_, site_, MakeSymbolizer().get()),
              EndsWith(absl::StrFormat("place_names_test.cc:%d", kCallLine)));
}

TEST_F(PlaceNamesOfThisProgram, AreAddressesWhenItIsAnotherBuild) {
  SetBuildId(std::string(20, '\xab'));
  EXPECT_THAT(NameOf(&builder_, site_, MakeSymbolizer().get()),
              EndsWith(absl::StrFormat("%s+0x%x", BaseName(path_), address_)));
}

TEST_F(PlaceNamesOfThisProgram, AreUnknownWhenTheModulesAreDamaged) {
  builder_.ModuleAt(module_).build_id_bytes = 200;
  EXPECT_EQ(NameOf(&builder_, site_, MakeSymbolizer().get()), "(unknown)");
}

}  // namespace
}  // namespace memtrace
