# Building, and Python environments. Sourced after common.sh.

# What a user needs, without the tests.
targets_use=(memtrace memtrace_interpose memtrace_python)

# build_release [TARGET…]: configures and builds build/release; the first time takes a few minutes.
build_release() {
  say "building $build (the first time this takes a few minutes)"
  logged cmake-configure cmake --preset release || die "cmake could not configure the build"
  logged cmake-build cmake --build --preset release ${1:+--target "$@"} || die "the build failed"
}

# test_sanitized PRESET: builds the recorder's unit tests with that preset's sanitizers and runs them.
test_sanitized() {
  say "the recorder's unit tests under $1"
  logged "cmake-$1" cmake --preset "$1" || die "cmake could not configure build/$1"
  logged "build-$1" cmake --build --preset "$1" --target interpose_test || die "the build failed"
  logged "test-$1" "build/$1/interpose_test" --gtest_brief=1 && return
  grep -E '^\[  FAILED  \] .*ms\)' "$logs/test-$1.log" >&2
  return 1
}

# real_python COMMAND: the interpreter's own path; a pyenv shim is only a script that looks for it.
real_python() {
  "$1" -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null
}

# make_venv FOLDER PYTHON PACKAGE…: an environment with these packages from the Python index. A
# second call with the same words does nothing.
make_venv() {
  local folder=$1 python=$2 wanted
  shift 2
  wanted="$python $*"
  if [ "$(cat "$folder/.packages" 2>/dev/null)" = "$wanted" ]; then return 0; fi
  say "making a Python environment in $folder: $*"
  rm -rf "$folder"
  mkdir -p "$(dirname "$folder")"
  logged venv "$python" -m venv "$folder" || return 1
  logged pip "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@" || return 1
  printf '%s\n' "$wanted" >"$folder/.packages"
}

# orders_venv: pandas for the orders program, in the demo and in the end-to-end tests.
orders_venv() {
  local python
  python=$(real_python python3) || die "python3 does not run"
  make_venv build/demo/venv "$python" numpy pandas ||
    die "could not install numpy and pandas from the Python index; is there a network?"
}

# orders_data FOLDER PYTHON: order_data.csv, 100,000 orders, always the same ones. PYTHON is an
# absolute path.
orders_data() {
  if [ -s "$1/order_data.csv" ]; then return 0; fi
  say "writing 100,000 orders to $1/order_data.csv"
  mkdir -p "$1"
  (cd "$1" && "$2" "$top/scripts/orders/create_data.py") || die "could not write the orders"
}

# prepare_demo: everything that the orders program needs in build/demo; PATH and PYTHONPATH so that
# `memtrace` and `python` are the ones just built and the one with pandas.
prepare_demo() {
  orders_venv
  orders_data build/demo "$top/build/demo/venv/bin/python"
  cp scripts/orders/main.py build/demo/main.py
  PATH="$top/$build:$top/build/demo/venv/bin:$PATH"
  export PYTHONPATH="$top/$build/python"
}
