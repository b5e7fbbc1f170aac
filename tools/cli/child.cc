#include "tools/cli/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace memtrace {
namespace {

// What is taken care of while the program runs. SIGTTIN and SIGTTOU keep their meaning for us.
constexpr int kWatched[] = {SIGCHLD, SIGINT,  SIGQUIT, SIGTERM, SIGHUP,
                            SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT};

int64_t MonotonicNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

class Child {
 public:
  explicit Child(const ChildHooks& hooks) : hooks_(hooks) {}

  absl::Status Start(const std::vector<std::string>& argv,
                     const std::vector<std::pair<std::string, std::string>>& variables);
  void Watch();
  ChildResult result;

 private:
  [[noreturn]] void Execute(const std::vector<std::string>& argv,
                            const std::vector<std::pair<std::string, std::string>>& variables,
                            int error_pipe);
  void Handle(const signalfd_siginfo& info);
  void StopTogether();
  bool Reap();

  const ChildHooks& hooks_;
  sigset_t before_;
  int signals_ = -1;
  int64_t start_ns_ = 0;
};

absl::Status Failed(const char* what) {
  return absl::InternalError(absl::StrCat(what, " failed: ", std::strerror(errno)));
}

void Child::Execute(const std::vector<std::string>& argv,
                    const std::vector<std::pair<std::string, std::string>>& variables,
                    int error_pipe) {
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> pointers;
  for (const std::string& argument : argv) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  sigprocmask(SIG_SETMASK, &before_, nullptr);
  execvp(pointers[0], pointers.data());
  const int error = errno;
  if (write(error_pipe, &error, sizeof(error)) < 0) _exit(126);
  _exit(error == ENOENT ? 127 : 126);
}

absl::Status Child::Start(const std::vector<std::string>& argv,
                          const std::vector<std::pair<std::string, std::string>>& variables) {
  sigset_t watched;
  sigemptyset(&watched);
  for (int number : kWatched) sigaddset(&watched, number);
  // A blocked signal that is ignored gets lost, and so would the end of the program.
  signal(SIGCHLD, SIG_DFL);
  if (sigprocmask(SIG_BLOCK, &watched, &before_) != 0) return Failed("sigprocmask");
  signals_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) return Failed("signalfd");
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) return Failed("pipe");
  start_ns_ = MonotonicNanos();
  result.pid = fork();
  if (result.pid < 0) return Failed("fork");
  if (result.pid == 0) Execute(argv, variables, error_pipe[1]);
  close(error_pipe[1]);
  // Ends at once when exec works: the pipe closes.
  if (read(error_pipe[0], &result.exec_error, sizeof(int)) != sizeof(int)) result.exec_error = 0;
  close(error_pipe[0]);
  return absl::OkStatus();
}

// True when the program has ended.
bool Child::Reap() {
  int status = 0;
  while (true) {
    const pid_t pid = waitpid(result.pid, &status, WNOHANG | WUNTRACED);
    if (pid == 0) return false;
    if (pid < 0) {
      if (errno == EINTR) continue;
      return true;  // cannot happen; waiting on would never end
    }
    if (WIFSTOPPED(status)) {
      StopTogether();
      continue;
    }
    result.signaled = WIFSIGNALED(status);
    result.status = result.signaled ? WTERMSIG(status) : WEXITSTATUS(status);
    return true;
  }
}

// The shell waits for us, not for the program: stop as well, and wake it when we are woken.
void Child::StopTogether() {
  if (hooks_.on_stop) hooks_.on_stop();
  raise(SIGSTOP);
  kill(result.pid, SIGCONT);
}

void Child::Handle(const signalfd_siginfo& info) {
  const int number = static_cast<int>(info.ssi_signo);
  // From the kernel: the terminal has sent it to the whole group, and the program has it. From the
  // program itself: it has sent it to its own group.
  const bool to_us_alone =
      info.ssi_code <= 0 && static_cast<int>(info.ssi_pid) != result.pid && number != SIGCHLD;
  if (!to_us_alone) return;
  kill(result.pid, number);
}

void Child::Watch() {
  if (result.exec_error == 0 && hooks_.on_start) hooks_.on_start(result.pid);
  pollfd watched = {signals_, POLLIN, 0};
  while (!Reap()) {
    poll(&watched, 1, kTickMillis);
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof(info)) == sizeof(info)) Handle(info);
    if (hooks_.on_tick) hooks_.on_tick(MonotonicNanos() - start_ns_);
  }
  result.elapsed_ns = MonotonicNanos() - start_ns_;
  close(signals_);
  // The terminal's Ctrl-C may still be on its way to us: what follows is short and must be done.
  for (int number : {SIGINT, SIGQUIT, SIGHUP}) signal(number, SIG_IGN);
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace

absl::StatusOr<ChildResult> RunChild(
    const std::vector<std::string>& argv,
    const std::vector<std::pair<std::string, std::string>>& variables, const ChildHooks& hooks) {
  Child child(hooks);
  if (absl::Status s = child.Start(argv, variables); !s.ok()) return s;
  child.Watch();
  return child.result;
}

}  // namespace memtrace
