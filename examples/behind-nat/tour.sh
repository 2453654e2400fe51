#!/usr/bin/env bash
# What run.sh does in the lab. "natlab exec HOST COMMAND" runs a command on a host.
set -euo pipefail
data=$LAB_WORK/data
mkdir -p "$data"
started=$(date +%s.%N)

say() { printf '\n[%5.1f s] %s\n' "$(date +%s.%N | awk -v from="$started" '{print $1 - from}')" "$*"; }

daemons=()
stop() {
  for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait "${daemons[@]}" 2>/dev/null || true
}
trap stop EXIT

# daemon HOST NAME LINE ARGUMENTS...: starts rhizome on a host, and waits until it prints LINE.
daemon() {
  local host=$1 name=$2 line=$3
  shift 3
  begin "$host" "$name" "$@"
  await "$name" "$line"
}

begin() {
  local host=$1 name=$2
  shift 2
  : >"$data/$name.log"
  natlab exec "$host" rhizome "$1" --data "$data/$name" "${@:2}" >"$data/$name.log" 2>&1 &
  daemons+=($!)
}

await() {
  local tries=0
  until grep -q "^$2" "$data/$1.log"; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { echo "$1 does not start:" >&2; tail -n 20 "$data/$1.log" >&2; exit 1; }
    sleep 0.1
  done
}

say "a relay with a public address, which serves one link"
link=$(rhizome id --data "$data/link")
daemon relay relay "ready relay" relay --port 443 --websocket --allow-link "$link"
grep "give this" "$data/relay.log"
address=$(sed -n 's/^give this to a link: rhizome link --relay //p' "$data/relay.log" | head -n 1)

say "a link at home, behind a router that lets nothing in"
daemon home link "to join:" link --http 127.0.0.1:8000 --relay "$address" --python "$LAB_PYTHON"
grep "to join" "$data/link.log"

say "three nodes: a clinic behind a firewall, a hospital behind a symmetric NAT, and one in a phone network"
"$LAB_PYTHON/bin/python" -u "$(dirname "$0")/paths.py" "$data/link" clinic hospital phone &
watcher=$!
partition=0
for site in clinic hospital phone; do
  begin $site $site node --name $site --join "@$data/link/join.ticket" --python "$LAB_PYTHON" \
    --node-config "partition-id=$partition num-partitions=3"
  partition=$((partition + 1))
done
for site in clinic hospital phone; do await $site "ready node"; done
wait $watcher

say "the stock flwr command, at home"
export FLWR_HOME=$data/flwr FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1
mkdir -p "$FLWR_HOME"
printf '[superlink]\ndefault = "lab"\n\n[superlink.lab]\naddress = "127.0.0.1:8000"\ninsecure = true\n' >"$FLWR_HOME/config.toml"
natlab exec home "$LAB_PYTHON/bin/flwr" run "$LAB_APP" lab --stream

say "how everybody was reached"
rhizome status --data "$data/link"

if [ -n "$LAB_SHELL" ]; then
  export PATH=$LAB_PYTHON/bin:$PATH DATA=$data
  cat <<EOF

You are in the lab, and everything still runs. Some things to try:

  rhizome status --data \$DATA/link            # or relay, clinic, hospital, phone
  natlab exec home flwr run $LAB_APP lab --stream
  natlab cut clinic; natlab restore clinic    # pull the cable, and put it back
  natlab flush phone                          # the phone network forgets its mappings
  natlab exec hospital bash                   # a shell at the hospital
  ls \$DATA/*.log

Leave with exit; nothing is kept.
EOF
  bash --norc || true
fi
