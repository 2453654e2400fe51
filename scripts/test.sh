#!/usr/bin/env bash
# All tests. Prints the summary lines of go test; a failure prints its output too.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0
export RHIZOME_TEST_VENV="${RHIZOME_TEST_VENV:-$PWD/.venv/flwr-1.41}"

# The end-to-end tests start Python processes and namespaces: on two cores they would
# disturb the timing of everything beside them, so they go last and by themselves. Those
# that mostly wait, as stock Flower does, run three at a time.
go test -timeout 15m $(go list ./... | grep -v -e /e2e -e /natlab)
go test -timeout 25m -p 1 -parallel 3 $(go list ./... | grep -e /e2e -e /natlab)
