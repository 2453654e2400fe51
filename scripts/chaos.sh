#!/usr/bin/env bash
# Runs all crash tests (the random kills and every cell of the fault matrix) and every line
# fault. RHIZOME_CHAOS_SEED repeats the crashes of a run that failed; CHAOS_RUN selects tests.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 RHIZOME_CHAOS=1
export RHIZOME_TEST_VENV="${RHIZOME_TEST_VENV:-$PWD/.venv/flwr-1.41}"
go test -timeout 60m -count 1 -v -run "${CHAOS_RUN:-.}" ./e2e/chaos
# Runs over bad lines mostly wait, so several go side by side.
go test -tags long -timeout 60m -count 1 -v -parallel 8 -run "${CHAOS_RUN:-.}" ./e2e/lines
