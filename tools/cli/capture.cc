#include "tools/cli/capture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

namespace memtrace {
namespace {

constexpr size_t kMostBytes = 64 * 1024;

int64_t Millis() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

[[noreturn]] void Execute(const std::vector<std::string>& argv,
                          const std::vector<std::pair<std::string, std::string>>& variables,
                          int out, int err) {
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  _exit(127);
}

// Reads both pipes until they close or time is up; false on time-out.
bool Drain(int out, int err, int64_t deadline, Captured* captured) {
  pollfd pipes[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
  while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
    const int64_t left = deadline - Millis();
    if (left <= 0 || poll(pipes, 2, static_cast<int>(left)) == 0) return false;
    for (int i = 0; i < 2; ++i) {
      if (pipes[i].fd < 0 || pipes[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t bytes = read(pipes[i].fd, buffer, sizeof(buffer));
      std::string& text = i == 0 ? captured->standard : captured->error;
      if (bytes <= 0) {
        pipes[i].fd = -1;
      } else if (text.size() < kMostBytes) {
        text.append(buffer, static_cast<size_t>(bytes));
      }
    }
  }
  return true;
}

}  // namespace

Captured Capture(const std::vector<std::string>& argv,
                 const std::vector<std::pair<std::string, std::string>>& variables,
                 int timeout_ms) {
  Captured captured;
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0) return captured;
  if (pipe2(err, O_CLOEXEC) != 0) {
    close(out[0]);
    close(out[1]);
    return captured;
  }
  const pid_t pid = fork();
  if (pid == 0) Execute(argv, variables, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  if (pid > 0) {
    captured.started = true;
    if (!Drain(out[0], err[0], Millis() + timeout_ms, &captured)) {
      captured.timed_out = true;
      kill(pid, SIGKILL);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    captured.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  close(out[0]);
  close(err[0]);
  return captured;
}

}  // namespace memtrace
