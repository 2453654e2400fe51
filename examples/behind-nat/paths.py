"""Tells how a link reaches its nodes, whenever that changes, until nothing changes any more.

usage: paths.py DATA-FOLDER-OF-THE-LINK NAME...
"""

import json
import subprocess
import sys
import time

STEADY = 5  # seconds after which a path is taken to be the one that stays
LIMIT = 60  # seconds to wait for all nodes


def paths(folder):
    """What the link says now, by the name of the node."""
    asked = subprocess.run(
        ["rhizome", "status", "--data", folder, "--json"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        return {}
    found = {}
    for node in json.loads(asked.stdout)["nodes"]:
        path = node.get("path")
        if path and node.get("session"):
            way = "direct" if path["direct"] else "through the relay"
            found[node["name"]] = (f"{way} by {path['transport']}", path.get("rtt_ms", 0))
    return found


def main(folder, names):
    """Print each change."""
    start = changed = time.monotonic()
    known = {}
    while time.monotonic() - start < LIMIT:
        for name, (way, rtt) in paths(folder).items():
            if known.get(name) != way:
                known[name], changed = way, time.monotonic()
                print(f"  after {changed - start:4.1f} s  {name}: {way}, round trip {rtt:.0f} ms")
        if set(known) >= set(names) and time.monotonic() - changed > STEADY:
            return 0
        time.sleep(0.1)
    print(f"no session with {set(names) - set(known)} after {LIMIT} s", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
