// Frames of every kind that compilers make, and one that nobody describes.

#include <immintrin.h>
#include <signal.h>
#include <ucontext.h>

#include "truth.h"

constexpr int kRounds = 200;

extern "C" {

NOINLINE void WithAlloca(int depth, void (*last)()) {
  FUNCTION;
  auto* room = static_cast<char*>(__builtin_alloca(static_cast<size_t>(depth * 96 + 16)));
  OPAQUE(room);
  Allocate();
  if (depth > 0) WithAlloca(depth - 1, last);
  if (depth == 0) last();
}

NOINLINE void WithArray(int depth, void (*last)()) {
  FUNCTION;
  for (int i = 0; i < 3; i++) {
    char room[depth * 50 + i * 400 + 1];  // another stack pointer each time
    asm volatile("" ::"r"(room) : "memory");
    Allocate();
  }
  if (depth > 0) WithAlloca(depth - 1, last);
  if (depth == 0) last();
}

// The frame is aligned anew, and found again by a register that is saved in it.
NOINLINE void Realigned(int depth, void (*last)()) {
  FUNCTION;
  alignas(64) char vectors[192];
  asm volatile("" ::"r"(vectors) : "memory");
  auto* room = static_cast<char*>(__builtin_alloca(static_cast<size_t>(depth * 32 + 8)));
  OPAQUE(room);
  Allocate();
  if (depth > 0) Realigned(depth - 1, last);
  if (depth == 0) last();
}

__attribute__((target("avx"))) NOINLINE void WithVectors(int depth, void (*last)()) {
  FUNCTION;
  __m256 vectors[4];
  for (__m256& v : vectors) v = _mm256_set1_ps(static_cast<float>(depth));
  asm volatile("" ::"r"(vectors) : "memory");
  Allocate();
  if (depth > 0) WithVectors(depth - 1, last);
  if (depth == 0) last();
  asm volatile("" ::"r"(vectors) : "memory");
}

// Many registers are saved, in an order that only the tables know; much is pushed before calls.
NOINLINE long Busy(long a, long b, long c, long d, long e, long f, long g, long h) {
  FUNCTION;
  long x = a * b, y = c * d, z = e * f, w = g * h;
  OPAQUE(x);
  OPAQUE(y);
  OPAQUE(z);
  OPAQUE(w);
  Allocate();
  if (a > 0) x += Busy(a - 1, x, y, z, w, b, c, d);
  Allocate();
  return x + y + z + w + e + f + g + h;
}

// What an optimizer makes a jump is no frame: it is made one here.
void JumpedTo() {
  FUNCTION;
  Allocate();
}
asm(R"(
.text
.globl TailCalls
.type TailCalls, @function
TailCalls:
  .cfi_startproc
  jmp JumpedTo
  .cfi_endproc
.size TailCalls, . - TailCalls
)");
void TailCalls();
NOINLINE void CallsByJump() {
  FUNCTION;
  TailCalls();
}

// The first instruction faults: the address before it is another function's.
asm(R"(
.text
.globl BeforeTheFault
.type BeforeTheFault, @function
BeforeTheFault:
  .cfi_startproc
  nop
  ret
  .cfi_endproc
.size BeforeTheFault, . - BeforeTheFault
.globl TrapsAtOnce
.type TrapsAtOnce, @function
TrapsAtOnce:
  .cfi_startproc
  ud2
  ret
  .cfi_endproc
.size TrapsAtOnce, . - TrapsAtOnce
)");
void TrapsAtOnce();
NOINLINE void OnFault(int, siginfo_t*, void* context) {
  FUNCTION;
  Allocate();
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] += 2;  // ud2
}
NOINLINE void FirstInstruction() {
  FUNCTION;
  const truth::Entered interrupted("TrapsAtOnce");
  TrapsAtOnce();
}

// Hand-written, with nothing that says how its frame is laid out.
asm(R"(
.text
.globl Undescribed
.type Undescribed, @function
Undescribed:
  push %rbx
  push %rbp
  mov $0x1234567, %ebp
  sub $40, %rsp
  mov %rdi, %rbx
  call *%rbx
  add $40, %rsp
  pop %rbp
  pop %rbx
  ret
.size Undescribed, . - Undescribed
)");
void Undescribed(void (*call)());
NOINLINE void BelowUndescribed() {
  FUNCTION;
  Allocate();
}

NOINLINE void Run(int i) {
  FUNCTION;
  void (*const last)() = i % 2 ? Allocate : CallsByJump;
  WithAlloca(i % 5, last);
  WithArray(i % 5, last);
  Realigned(i % 4, last);
  if (__builtin_cpu_supports("avx")) WithVectors(i % 4, last);
  Busy(i % 4, 2, 3, 4, 5, 6, 7, 8);
  FirstInstruction();
}
}

int main(int argc, char** argv) {
  FUNCTION;
  struct sigaction action = {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO;
  if (sigaction(SIGILL, &action, nullptr) != 0) abort();
  for (int i = 0; i < kRounds; i++) Run(i);
  if (argc > 1) {
    const truth::Entered undescribed("Undescribed");
    for (int i = 0; i < kRounds; i++) Undescribed(BelowUndescribed);
  }
  return 0;
}
