#!/usr/bin/env bash
# Runs all tests under Go's race detector, which is also in the binary that the end-to-end tests
# start: a process that sees a race ends at once, and its test fails. Needs a C compiler.
#
#   scripts/race.sh [PACKAGE...]     # default: all but the tests in the lab and the simulation
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=1 GOFLAGS=-race GORACE=halt_on_error=1
export RHIZOME_TEST_VENV="${RHIZOME_TEST_VENV:-$PWD/.venv/flwr-1.41}"
[ $# -gt 0 ] || set -- $(go list ./... | grep -vE '/e2e/(nat|lines|swarm|sim)')
go test -timeout 60m -p 1 -parallel 3 "$@"
