#include "tools/cli/ended_processes.h"

#include <dirent.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "tools/cli/session.h"
#include "tools/model/snapshot_file.h"
#include "tools/read/load.h"

namespace memtrace {
namespace {

constexpr size_t kBatchRecords = 50000;  // of one file

size_t CountFiles(const std::string& folder) {
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return 0;
  size_t count = 0;
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

}  // namespace

EndedProcesses::EndedProcesses(std::string session, int32_t main_pid)
    : session_(std::move(session)), main_pid_(main_pid), symbolizer_(MakeSymbolizer()) {}

// Fills waiting_ when there is enough to do.
void EndedProcesses::Look() {
  const size_t files = CountFiles(session_);
  if (files < look_at_) return;
  for (RegionEntry& entry : FindRegions({session_})) {
    const bool ended = entry.status.ok() && !entry.alive() && entry.pid != main_pid_;
    if (ended && !refused_.contains(entry.path)) waiting_.push_back(std::move(entry));
  }
  if (waiting_.size() < kMostRegions) {  // many live ones: look again when there are more
    look_at_ = files - waiting_.size() + kMostRegions;
    waiting_.clear();
  }
}

void EndedProcesses::Take(const RegionEntry& entry) {
  absl::StatusOr<Profile> profile = LoadRegion(entry, symbolizer_.get());
  if (!profile.ok()) {
    refused_.insert(entry.path);
    problems_.emplace_back(profile.status().message());
    return;
  }
  const size_t records = profile->samples().size();
  if (kept_ < kLeastKept || records_ + records <= kMostRecords) {
    records_ += records;
    ++kept_;
    batch_.Merge(*profile);
  } else {
    groups_.Add(*profile);
  }
  done_.push_back(entry.path);
}

bool EndedProcesses::Write(const Profile& profile, const std::string& name) {
  WriteOptions options;
  options.force = true;
  return WriteSnapshotFile(profile, absl::StrFormat("%s/%s", session_, name), options).ok();
}

// Without room for the file the profile is kept here: the regions must go all the more.
void EndedProcesses::Flush() {
  if (!batch_.processes.empty()) {
    const std::string name = absl::StrFormat("ended-%03d.mtr", written_.size() + 1);
    if (Write(batch_, name)) {
      written_.push_back(name);
    } else {
      unwritten_.push_back(std::move(batch_));
    }
    batch_ = Profile();
  }
  if (!groups_.empty()) Write(groups_.profile(), "ended-groups.mtr");
  for (const std::string& path : done_) unlink(path.c_str());
  done_.clear();
}

void EndedProcesses::Poll() {
  if (waiting_.empty()) Look();
  if (waiting_.empty()) return;
  const int64_t end = absl::GetCurrentTimeNanos() + kSliceNanos;
  while (!waiting_.empty() && absl::GetCurrentTimeNanos() < end) {
    Take(waiting_.front());
    waiting_.pop_front();
    if (batch_.samples().size() > kBatchRecords) break;
  }
  if (waiting_.empty() || batch_.samples().size() > kBatchRecords) Flush();
}

void EndedProcesses::Finish(Profile* profile, std::vector<std::string>* problems) {
  waiting_.clear();
  absl::flat_hash_set<std::string> taken(done_.begin(), done_.end());
  for (const RegionEntry& entry : FindRegions({session_})) {
    if (absl::IsUnavailable(entry.status) || entry.pid == main_pid_) continue;
    if (refused_.contains(entry.path) || taken.contains(entry.path)) continue;
    if (entry.status.ok() && entry.alive()) {
      profile->Merge(LoadRegions({entry}, &problems_));
    } else {
      Take(entry);
    }
  }
  for (const std::string& name : written_) {
    absl::StatusOr<Profile> part = ReadSnapshotFile(session_ + "/" + name);
    if (part.ok()) {
      profile->Merge(*part);
    } else {
      problems_.emplace_back(part.status().message());
    }
  }
  for (const Profile& part : unwritten_) profile->Merge(part);
  profile->Merge(batch_);
  profile->Merge(groups_.profile());
  problems->insert(problems->end(), problems_.begin(), problems_.end());
}

}  // namespace memtrace
