#!/usr/bin/env bash
# Runs all tests. Prints the summary lines of go test, and the output of those that fail.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
export RHIZOME_TEST_VENV="${RHIZOME_TEST_VENV:-$PWD/.venv/flwr-1.41}"

packages() { go list ./... | grep "$@"; }
end_to_end='/e2e|/natlab'
lab='/natlab|/e2e/(nat|lines|swarm)'

go test -timeout 15m $(packages -vE "$end_to_end")

# The end-to-end tests start Python processes, which on two cores would disturb whatever runs
# beside them: the packages run one after the other, and tests that mostly wait, as stock
# Flower does, three at a time. The tests in the lab spend most of their time waiting for its
# slow lines, so they run alongside; the simulation, which load does not affect, comes after them.
aside=$(mktemp)
trap 'rm -f "$aside"' EXIT
{
	status=0
	go test -timeout 25m -p 1 $(packages -E "$lab") || status=1
	go test -timeout 25m ./e2e/sim || status=1
	exit $status
} >"$aside" 2>&1 &
failed=0
go test -timeout 25m -p 1 -parallel 3 $(packages -E "$end_to_end" | grep -vE "$lab|/e2e/sim") || failed=1
wait $! || failed=1
cat "$aside"
exit $failed
