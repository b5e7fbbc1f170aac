// One allocation under calls that an optimising compiler inlines. Whether it does or not, the stack
// in the source is the same; the words behind "symbols:" name its lines, innermost first.

#include <cstddef>
#include <cstdlib>

namespace shapes {

struct Pool {
  static inline __attribute__((always_inline)) void* Take(size_t bytes) {
    return malloc(bytes);  // symbols: take
  }
};

template <typename T>
inline __attribute__((always_inline)) T* Make(size_t count) {
  return static_cast<T*>(Pool::Take(count * sizeof(T)));  // symbols: make
}

namespace {
inline __attribute__((always_inline)) long* Local(size_t count) {
  return Make<long>(count);  // symbols: local
}
}  // namespace

__attribute__((noinline)) long* Outer(size_t count) {
  long* made = Local(count);  // symbols: outer
  asm volatile("" : : "r"(made) : "memory");
  return made;
}

}  // namespace shapes

int main(int argc, char**) {
  long* made = shapes::Outer(static_cast<size_t>(argc) * 1237);  // symbols: main
  asm volatile("" : : "r"(made) : "memory");
  return 0;
}
