#!/usr/bin/env bash
# proof.sh share|whole - the programs of tests/proof: all of a small space, or the bounded
# share of it that `make test` tries. TAP; how many histories, and how long.
set -u
cd "$(dirname "$0")/.." || exit
scripts/build.sh release:proof || exit 1
status=0
for program in orders ledger; do
  "build/release/proof_$program" "${1:-share}" || status=1
done
exit $status
