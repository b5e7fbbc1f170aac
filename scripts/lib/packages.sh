# The Debian packages that the project needs, and their installation. Sourced after common.sh.

packages_build=(
  cmake ninja-build g++ pkg-config git
  libunwind-dev libabsl-dev libboost-dev libboost-stacktrace-dev
  libprotobuf-dev protobuf-compiler zlib1g-dev libdw-dev libbz2-dev
  libcli11-dev nlohmann-json3-dev libgtest-dev libgmock-dev
)
packages_python=(python3 python3-venv)
packages_test=(
  python3-pytest python3-protobuf binutils clang-format
  sqlite3 redis-server redis-tools nodejs nginx-light
  libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 libpython3-dev musl-tools
  heaptrack zstd clang rustc cargo dwz
)
packages_bench=(heaptrack)

# missing_packages PACKAGE…: those that are not installed, one a line.
missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] ||
      printf '%s\n' "$package"
  done
}

# Services that come with a package are not started.
apt() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 apt-get -q \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

# install_packages PACKAGE…: installs what is missing, with apt, as root or through sudo.
install_packages() {
  local missing
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this is not a Debian system: install what corresponds to: $*"
    return 0
  fi
  mapfile -t missing < <(missing_packages "$@")
  if [ ${#missing[@]} = 0 ]; then return 0; fi
  if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    die "these packages are missing and only root may install them. Run this first:
  sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  say "installing ${#missing[@]} packages: ${missing[*]}"
  logged apt-update apt update || die "apt-get update failed; is there a network?"
  logged apt-install apt install -y --no-install-recommends "${missing[@]}" ||
    die "apt-get could not install: ${missing[*]}"
}
