#!/usr/bin/env bash
# venv.sh VERSION FOLDER [PIP-ARGUMENT...] makes a Python environment with this version of flwr and
# what the arguments name, or else what the examples need. FOLDER/ready appears last, so that
# a broken download starts over.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 VERSION FOLDER [PIP-ARGUMENT...]" >&2; exit 2; }
version=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- numpy scikit-learn

python=""
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
  [ -n "$candidate" ] || continue
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || { echo "$0: no Python 3.11 or later; name one with PYTHON=..." >&2; exit 1; }

[ -e "$folder/ready" ] && exit 0
rm -rf "$folder"
"$python" -m venv "$folder"
pip=("$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input)
if ! "${pip[@]}" "flwr==$version" "$@"; then
  # Some versions of flwr pin a certifi that has been withdrawn. Install everything else as flwr
  # asks for it, and the current certifi.
  echo "$0: the pins of flwr $version cannot be met; installing it without them" >&2
  "${pip[@]}" --no-deps "flwr==$version"
  "$folder/bin/python" - "flwr" <<'PYTHON' >"$folder/requirements.txt"
import re, sys
from importlib.metadata import requires
for line in requires(sys.argv[1]) or []:
    if "extra ==" not in line:
        name = re.match(r"[A-Za-z0-9._-]+", line)[0]
        print("certifi" if name.lower() == "certifi" else line)
PYTHON
  "${pip[@]}" -r "$folder/requirements.txt" "$@"
fi
"$folder/bin/flwr" --version
touch "$folder/ready"
