#!/usr/bin/env bash
# mutants.sh [NAME...] - build with one deliberate fault after another, and show that the
# golden cases or the simulator find each (docs/MUTANTS.md); what `make mutants` runs.
# SEEDS=N: how many seeds a fault may live through; 2,000.
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh
exec node tests/mutants/mutants.mjs run "$@"
