# What the scripts share: words on the terminal, a log for what is long, the folder to work in.
# Sourced; sets `top` and changes to it.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$top" || exit 1
build=build/release
logs=build/logs
mkdir -p "$logs"

# say WORDS: a step of the work, on stderr, so that stdout holds results only.
say() { printf '== %s\n' "$*" >&2; }

# die WORDS: what went wrong and what to do, then the end.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# logged NAME COMMAND…: the output goes to a file; its end is shown if the command fails.
logged() {
  local log=$logs/$1.log
  shift
  if "$@" >"$log" 2>&1 </dev/null; then return 0; fi
  printf '%s\n' "--- the last lines of $log:" >&2
  tail -n 25 "$log" >&2
  return 1
}

# usage: the comment at the top of the script that was called.
usage() { sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "$0"; }
