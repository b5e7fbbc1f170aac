#include "tools/model/file_names.h"

#include <gtest/gtest.h>

#include "tests/unit/tools/model/random_profile.h"

namespace memtrace {
namespace {

FileName NameOf(const Process& process, const std::string& file,
                const std::vector<PathMapping>& mappings = {}) {
  Profile profile;
  profile.processes.push_back(process);
  const StringId id = profile.InternString(file);
  FileNames names(profile, mappings);
  return names.Of(0, id);
}

Process Program(const std::string& folder, std::vector<std::string> command) {
  Process process = PythonProcess(1, folder);
  process.command = std::move(command);
  return process;
}

TEST(NormalizePath, Lexically) {
  EXPECT_EQ(NormalizePath("/a/./b/../c//d/"), "/a/c/d");
  EXPECT_EQ(NormalizePath("a/../../b"), "../b");
  EXPECT_EQ(NormalizePath("/../a"), "/a");
  EXPECT_EQ(NormalizePath(""), "");
}

TEST(ScriptOf, SkipsTheInterpretersOptions) {
  EXPECT_EQ(ScriptOf({"python", "main.py", "-c"}), "main.py");
  EXPECT_EQ(ScriptOf({"python", "-X", "dev", "-Wignore", "-u", "a/main.py"}), "a/main.py");
  EXPECT_EQ(ScriptOf({"python", "-Xfrozen_modules=off", "main.py"}), "main.py");
  EXPECT_EQ(ScriptOf({"python", "-m", "http.server"}), "");
  EXPECT_EQ(ScriptOf({"python", "-Ic", "print(1)"}), "");
  EXPECT_EQ(ScriptOf({"python"}), "");
  EXPECT_EQ(ScriptOf({}), "");
}

TEST(FileNames, AreShownBelowTheProgramsFolder) {
  const Process here = Program("/home/me/app", {"python", "main.py"});
  EXPECT_EQ(NameOf(here, "/home/me/app/lib/x.py").shown, "lib/x.py");
  EXPECT_EQ(NameOf(here, "main.py").shown, "main.py");
  EXPECT_EQ(NameOf(here, "./main.py").shown, "main.py");
  EXPECT_EQ(NameOf(here, "main.py").absolute, "/home/me/app/main.py");
  EXPECT_EQ(NameOf(here, "/home/me/application/x.py").shown, "/home/me/application/x.py");
  const Process elsewhere = Program("/", {"python", "/srv/app/main.py"});
  EXPECT_EQ(NameOf(elsewhere, "/srv/app/lib/x.py").shown, "lib/x.py");
  EXPECT_EQ(NameOf(elsewhere, "/usr/share/x.py").shown, "/usr/share/x.py");
  const Process below = Program("/home/me/app", {"python", "src/main.py"});
  EXPECT_EQ(NameOf(below, "/home/me/app/src/main.py").shown, "src/main.py");
  EXPECT_EQ(NameOf(below, "/home/me/app/tests/t.py").shown, "tests/t.py");
}

TEST(FileNames, OfTwoCheckoutsMatch) {
  const Process a = Program("/home/me/app", {"python", "main.py"});
  const Process b = Program("/tmp", {"python", "/srv/checkout/main.py"});
  const Process c = Program("/home", {"python", "me/other/main.py"});
  const std::string key = NameOf(a, "/home/me/app/lib/x.py").key;
  EXPECT_EQ(NameOf(b, "/srv/checkout/lib/x.py").key, key);
  EXPECT_EQ(NameOf(c, "/home/me/other/lib/x.py").key, key);
  EXPECT_NE(NameOf(b, "/srv/checkout/lib/y.py").key, key);
}

TEST(FileNames, OfTheTwoFoldersDoNotCollide) {
  const Process process = Program("/app", {"python", "src/main.py"});
  EXPECT_NE(NameOf(process, "/app/util.py").key, NameOf(process, "/app/src/util.py").key);
}

TEST(FileNames, OfTwoEnvironmentsMatch) {
  const Process process = Program("/app", {"python", "main.py"});
  const FileName venv =
      NameOf(process, "/app/.venv/lib/python3.12/site-packages/pandas/core/frame.py");
  const FileName debian = NameOf(process, "/usr/lib/python3/dist-packages/pandas/core/frame.py");
  EXPECT_EQ(venv.key, debian.key);
  EXPECT_EQ(venv.shown, "site-packages/pandas/core/frame.py");
  EXPECT_EQ(debian.shown, "dist-packages/pandas/core/frame.py");
  EXPECT_EQ(venv.origin, FileOrigin::kThirdParty);
  const FileName newer = NameOf(process, "/opt/py/lib/python3.13t/json/decoder.py");
  const FileName older = NameOf(process, "/usr/lib/python3.8/json/decoder.py");
  EXPECT_EQ(newer.key, older.key);
  EXPECT_EQ(newer.shown, "python3.13t/json/decoder.py");
  EXPECT_EQ(newer.origin, FileOrigin::kStandardLibrary);
}

TEST(FileNames, KnowWhoseCodeItIs) {
  const Process process = Program("/app", {"python", "main.py"});
  EXPECT_EQ(NameOf(process, "/app/x.py").origin, FileOrigin::kProgram);
  EXPECT_EQ(NameOf(process, "/elsewhere/x.py").origin, FileOrigin::kProgram);
  EXPECT_EQ(NameOf(process, "<frozen importlib._bootstrap>").origin, FileOrigin::kSynthetic);
  EXPECT_EQ(NameOf(process, "<string>").origin, FileOrigin::kSynthetic);
  EXPECT_EQ(NameOf(process, "").origin, FileOrigin::kSynthetic);
  const Process typed = Program("/app", {"python", "-c", "x = 1"});
  EXPECT_EQ(NameOf(typed, "<string>").origin, FileOrigin::kProgram);
  const Process module = Program("/app", {"python", "-m", "pkg"});
  EXPECT_EQ(NameOf(module, "<string>").origin, FileOrigin::kSynthetic);
}

TEST(FileNames, MemtracesOwnPackageIsNotTheUsers) {
  const Process process = Program("/app", {"python", "main.py"});
  const FileName built = NameOf(process, "/app/build/release/python/memtrace/__init__.py");
  EXPECT_EQ(built.origin, FileOrigin::kThirdParty);
  EXPECT_EQ(built.shown, "memtrace/__init__.py");
  const FileName mine = NameOf(process, "/app/memtrace/__init__.py");
  EXPECT_EQ(mine.origin, FileOrigin::kProgram);
}

TEST(FileNames, MapMovesAPrefix) {
  const Process process = Program("/app", {"python", "main.py"});
  const std::vector<PathMapping> map = {{"/build/src", "/app/lib"}};
  EXPECT_EQ(NameOf(process, "/build/src/x.py", map).shown, "lib/x.py");
  EXPECT_EQ(NameOf(process, "/build/srcs/x.py", map).shown, "/build/srcs/x.py");
  EXPECT_EQ(NameOf(process, "/build/src/x.py", map).recorded, "/build/src/x.py");
}

TEST(FileNames, OfAChildUseTheMainProgramsFolder) {
  Profile profile;
  profile.processes.push_back(Program("/app", {"python", "main.py"}));
  profile.processes.push_back(Program("/app", {"python", "jobs/worker.py"}));
  const StringId file = profile.InternString("/app/util.py");
  FileNames names(profile, {});
  EXPECT_EQ(names.Of(0, file).key, names.Of(1, file).key);
  const StringId relative = profile.InternString("util.py");
  EXPECT_EQ(names.Of(1, relative).key, names.Of(0, file).key);
}

}  // namespace
}  // namespace memtrace
