#!/usr/bin/env bash
# chaos.sh [share] [SEED] - three daemons, DynamoDB Local and Redis, each killed again and
# again under browsers' engines that save, and a Redis that is none (docs/SERVERS.md); what
# `make chaos` runs. share: the part that `make test` runs. TAP. Needs build/release/tidemark.
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh

[ -f web/dist/index.js ] || scripts/build.sh wasm page
status=0
node tests/chaos/hostile.mjs || status=1
node tests/chaos/chaos.mjs "$@" || status=1
exit $status
