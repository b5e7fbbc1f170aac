// Allocations before main, after it, and by thread-local destructors. With an argument: pauses in
// the last destructor of the program, so that the test sees everything.
#include <thread>

#include "known.h"

DEFINE_SITE(site_in_constructor, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_main, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_destructor, (size_t n), n, malloc(n))
DEFINE_SITE(site_in_thread_local, (size_t n), n, malloc(n))

namespace {

struct ThreadOwned {
  void* block = site_in_thread_local(600);
  ~ThreadOwned() {
    known_free(block);
    site_in_thread_local(60);
  }
};
thread_local ThreadOwned thread_owned;

void* early;

}  // namespace

__attribute__((constructor(101))) static void Before() {
  early = site_in_constructor(4000);
  site_in_constructor(400);
}

__attribute__((destructor(101))) static void After() {
  known_free(early);
  known_free(site_in_destructor(50));
  site_in_destructor(5);
  known_pause();
}

int main() {
  site_in_main(31);
  for (int i = 0; i < 3; i++)
    std::thread([] { *static_cast<char*>(thread_owned.block) = 1; }).join();
}
