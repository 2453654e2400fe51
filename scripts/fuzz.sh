#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME (default 30s), or until it has used FUZZCPU seconds of
# processor time, and prints how often it was executed and how much of its package the inputs
# that were kept reach. Go keeps what it finds below testdata/fuzz of the package: fix the bug,
# and commit the file.
#
#   scripts/fuzz.sh [PACKAGE...]     # default: all packages with a target
set -uo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
time="${FUZZTIME:-30s}"
budget="${FUZZCPU:-}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log="$scratch/log"

# fuzz PACKAGE TARGET TIME: adds to $executions and $cpu (seconds)
fuzz() {
  local TIMEFORMAT='%U %S' result=0 user system
  { time go test -run '^$' -fuzz "^$2\$" -fuzztime "$3" -fuzzminimizetime 20x "$1" >"$log" 2>&1; } 2>"$scratch/cpu" || result=1
  read -r user system <"$scratch/cpu"
  cpu=$((cpu + ${user%.*} + ${system%.*}))
  last=$(grep -o 'execs: [0-9]* .*' "$log" | tail -1)
  executions=$((executions + $(sed -n 's/^execs: \([0-9]*\).*/\1/p' <<<"${last:-execs: 0 }")))
  local total
  total=$(grep -o '(total: [0-9]*)' "$log" | tail -1 | tr -dc 0-9)
  inputs=${total:-$inputs}
  return $result
}

# coverage PACKAGE TARGET: the share of the package's statements that all known inputs reach
coverage() {
  local kept seeds
  kept="$(go env GOCACHE)/fuzz/$(go list "$1")/$2"
  seeds="$1/testdata/fuzz/$2"
  local dir="$scratch/replay"
  rm -rf "$dir" && mkdir -p "$dir/testdata/fuzz/$2"
  [ ! -d "$1/testdata" ] || cp -r "$1/testdata" "$dir/"
  for from in "$kept" "$seeds"; do
    [ ! -d "$from" ] || find "$from" -type f -exec cp -t "$dir/testdata/fuzz/$2" {} +
  done
  go test -c -cover -o "$scratch/replay.test" "$1" >/dev/null 2>&1 || return
  (cd "$dir" && "$scratch/replay.test" -test.run "^$2\$" -test.coverprofile /dev/null 2>/dev/null) |
    sed -n 's/^coverage: \([0-9.]*%\).*/\1/p'
}

packages=("$@")
if [ ${#packages[@]} -eq 0 ]; then
  mapfile -t packages < <(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')
fi
failed=0
printf '| %-34s | %12s | %6s | %6s | %8s | %s |\n|---|---|---|---|---|---|\n' target executions 'CPU, s' inputs coverage result
for package in "${packages[@]}"; do
  for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go | sed 's/^func //' | sort -u); do
    result=ok executions=0 cpu=0 inputs=
    if [ -n "$budget" ]; then
      go test -run '^$' -fuzz "^$target\$" -fuzztime 1x "$package" >/dev/null 2>&1 # the build does not count
      while [ "$cpu" -lt "$budget" ] && [ "$result" = ok ]; do
        fuzz "$package" "$target" "$(((budget - cpu) / $(nproc) + 2))s" || result=FOUND
      done
    else
      fuzz "$package" "$target" "$time" || result=FOUND
    fi
    printf '| %-34s | %12s | %6s | %6s | %8s | %s |\n' "${package#./} $target" "$executions" "$cpu" "${inputs:--}" "$(coverage "$package" "$target")" "$result"
    if [ "$result" != ok ]; then
      failed=1
      tail -40 "$log"
    fi
  done
done
exit $failed
