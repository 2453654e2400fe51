#!/usr/bin/env bash
# All crash tests: the random kills, and every cell of the fault matrix. RHIZOME_CHAOS_SEED
# repeats the faults of a run that failed; CHAOS_RUN chooses tests.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 RHIZOME_CHAOS=1
export RHIZOME_TEST_VENV="${RHIZOME_TEST_VENV:-$PWD/.venv/flwr-1.41}"
go test -timeout 60m -count 1 -v -run "${CHAOS_RUN:-.}" ./e2e/chaos
