#!/usr/bin/env bash
# All crash tests, which are the random kills and every cell of the fault matrix, and every
# fault of a line. RHIZOME_CHAOS_SEED repeats the crashes of a run that failed; CHAOS_RUN
# chooses tests.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 RHIZOME_CHAOS=1
export RHIZOME_TEST_VENV="${RHIZOME_TEST_VENV:-$PWD/.venv/flwr-1.41}"
go test -timeout 60m -count 1 -v -run "${CHAOS_RUN:-.}" ./e2e/chaos
# Runs over bad lines mostly wait, so some are tried side by side.
go test -tags long -timeout 60m -count 1 -v -parallel 8 -run "${CHAOS_RUN:-.}" ./e2e/lines
