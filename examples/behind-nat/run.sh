#!/usr/bin/env bash
# A federation in which nobody can be called: a link at home, two hospitals and a phone
# network, and one relay in between. All of it runs on this machine, in network namespaces.
#
#   run.sh [--python VENV] [--shell]
#
# --python  environment with flwr, numpy and scikit-learn (default: .venv/flwr-1.41)
# --shell   a shell in the lab at the end, in which everything still runs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

python=$root/.venv/flwr-1.41 shell=""
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=$2; shift 2 ;;
    --shell) shell=yes; shift ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
[ -x "$python/bin/flwr" ] || { echo "$0: no flwr in $python: run \"make venv\", or name an environment with --python" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0
(cd "$root" && go build -o "$work/bin/" ./cmd/rhizome ./internal/natlab/cmd/natlab)

export PATH=$work/bin:$PATH LAB_WORK=$work LAB_PYTHON=$(cd "$python" && pwd) LAB_SHELL=$shell LAB_APP=$root/examples/quickstart
natlab run -private \
  -site relay=public \
  -site home=cone,rtt=30ms \
  -site clinic=firewalled,rtt=20ms \
  -site hospital=symmetric,rtt=40ms \
  -site phone=cgnat,rtt=80ms \
  -- "$here/tour.sh"
