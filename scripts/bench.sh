#!/usr/bin/env bash
# bench.sh [peers] - build the benchmarks and run them: bench/run.mjs, or bench/peers.mjs
# with what it is measured beside. ONLY="..." in the environment runs a part. The machine
# should have nothing else to do, and two cores.
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh
scripts/build.sh release:bench

if [ "${1:-}" != peers ]; then
  exec node bench/run.mjs
fi

if ! command -v redis-server >/dev/null; then
  echo 'bench: installing with apt-get: redis-server  (one of the peers)'
  as_root=
  [ "$(id -u)" = 0 ] || as_root=sudo
  # Installed for its program alone: it must not be started by the system as well.
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
    redis-server >/dev/null
fi
# better-sqlite3 brings a native part: its install script fetches one, or compiles it with
# g++, make and python3 against the headers of this node (minutes). No other script is run.
key=$(sha256sum <bench/peers/package-lock.json)
if [ "$(cat bench/peers/node_modules/.tidemark 2>/dev/null)" != "$key" ]; then
  echo 'bench: npm ci: Yjs, y-websocket, Automerge, ws, better-sqlite3'
  (
    cd bench/peers
    npm ci --workspaces=false --ignore-scripts --silent
    npm_config_nodedir=$(dirname "$(dirname "$(command -v node)")") \
      npm rebuild --silent better-sqlite3
  )
  printf '%s\n' "$key" >bench/peers/node_modules/.tidemark
fi
exec node bench/peers.mjs
