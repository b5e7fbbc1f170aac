# The fuzzers of the readers (tests/fuzz). Sourced after common.sh and build.sh.

# What they need beside the packages of the build: 110 MB more than clang-format brings with it.
packages_fuzz=(clang libclang-rt-14-dev)

fuzzers=(region snapshot gzip symbol)

# fuzz_corpus FOLDER: first inputs: regions and snapshots that a program builds, those of real
# programs, and a module with debug information.
fuzz_corpus() {
  local folder=$1 regions=$1/traced region version
  mkdir -p "$folder/symbol" "$regions"
  chmod 700 "$regions"
  LD_PRELOAD=$top/$build/libmemtrace.so MEMTRACE_DIR=$regions ls / >/dev/null
  LD_PRELOAD=$top/$build/libmemtrace.so MEMTRACE_DIR=$regions sh -c '(echo) | cat' >/dev/null
  for region in "$regions"/*.region; do
    "$build/memtrace" snapshot "$region" -q -f -o "$region.mtr" || return 1
  done
  build/fuzz/fuzz_seeds "$folder" "$regions"/*.region "$regions"/*.mtr || return 1
  for version in 4 5; do
    clang++ -g "-gdwarf-$version" -O1 -shared -fPIC -nostdlib tests/fuzz/symbol_seed.cc \
      -o "$folder/symbol/dwarf$version.so" || return 1
  done
  rm -r "$regions"
}

# fuzz_one NAME SECONDS FOLDER: what it finds goes to build/fuzz/found; the corpus grows in FOLDER.
fuzz_one() {
  "build/fuzz/$1_fuzzer" "-max_total_time=$2" -timeout=120 -rss_limit_mb=2500 -max_len=30000 \
    -print_final_stats=1 "-artifact_prefix=build/fuzz/found/$1-" "$3/$1" \
    >"$logs/fuzz-$1.log" 2>&1 </dev/null
}

# test_fuzzers SECONDS: all at the same time, each for so long.
test_fuzzers() {
  local name status=0 corpus=build/fuzz/corpus
  local -A jobs=()
  say "fuzzing the readers of regions, snapshots and debug information for $1 s"
  logged cmake-fuzz cmake --preset fuzz || die "cmake could not configure build/fuzz"
  logged build-fuzz cmake --build --preset fuzz || die "the build failed"
  mkdir -p build/fuzz/found
  logged fuzz-corpus fuzz_corpus "$corpus" || die "the fuzzers' first inputs could not be made"
  for name in "${fuzzers[@]}"; do
    fuzz_one "$name" "$1" "$corpus" &
    jobs[$name]=$!
  done
  for name in "${fuzzers[@]}"; do
    if wait "${jobs[$name]}"; then
      say "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$logs/fuzz-$name.log") runs"
    else
      say "$name: found something; run it again: build/fuzz/${name}_fuzzer build/fuzz/found/$name-*"
      tail -n 25 "$logs/fuzz-$name.log" >&2
      status=1
    fi
  done
  return $status
}
