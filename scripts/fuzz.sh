#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME (default 30s) and tells how often it was executed. What
# Go finds it keeps below testdata/fuzz of the package: mend it, and commit the file.
#
#   scripts/fuzz.sh [PACKAGE...]     # default: all packages with a target
set -uo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
time="${FUZZTIME:-30s}"

packages=("$@")
if [ ${#packages[@]} -eq 0 ]; then
  mapfile -t packages < <(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|')
fi
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf '%-46s %12s %8s  %s\n' target executions inputs result
for package in "${packages[@]}"; do
  for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go | sed 's/^func //' | sort -u); do
    result=ok
    if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x "$package" >"$log" 2>&1; then
      result=FOUND
      failed=1
    fi
    last=$(grep -o 'execs: [0-9]* .*' "$log" | tail -1)
    executions=$(sed -n 's/^execs: \([0-9]*\).*/\1/p' <<<"$last")
    inputs=$(sed -n 's/.*(total: \([0-9]*\)).*/\1/p' <<<"$last")
    printf '%-46s %12s %8s  %s\n' "${package#./} $target" "${executions:--}" "${inputs:--}" "$result"
    [ "$result" = ok ] || tail -40 "$log"
  done
done
exit $failed
