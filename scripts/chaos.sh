#!/usr/bin/env bash
# chaos.sh [share] [SEED] - three daemons, DynamoDB Local and Redis, each killed again and
# again under browsers' engines that save (docs/SERVERS.md); what `make chaos` runs. share:
# the part that `make test` runs. TAP. Needs build/release/tidemark and the package.
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh

exec node tests/chaos/chaos.mjs "$@"
