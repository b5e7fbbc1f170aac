// Compiled with debug information, the seed of symbol_fuzzer: functions, nested and inlined calls.

extern "C" void* take(unsigned long bytes);

namespace seed {

template <typename T>
inline __attribute__((always_inline)) T* Make(unsigned long count) {
  if (count > 100) {
    return static_cast<T*>(take(count * sizeof(T)));
  }
  return static_cast<T*>(take(100));
}

struct Holder {
  int* first(unsigned long n) { return Make<int>(n); }
  long* second(unsigned long n) { return Make<long>(n + *first(n)); }
};

static __attribute__((noinline)) char* Local(unsigned long n) { return Make<char>(n) + 1; }

void* Use(unsigned long n) {
  Holder holder;
  return holder.second(n) + *Local(n);
}

}  // namespace seed
