#!/usr/bin/env bash
# mutants.sh [NAME...] - build with one deliberate fault after another, and show that the
# golden cases or the simulator find each (docs/MUTANTS.md); what `make mutants` runs.
# mutants.sh --cases [NAME...] - show what `simulate --shrink` makes of a seed that each
# fails: a case that fails with the fault and passes without, or why there is none.
# SEEDS=N: how many seeds a fault may live through; 2,000.
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh
what=run
[ "${1:-}" = --cases ] && what=cases && shift
exec node tests/mutants/mutants.mjs "$what" "$@"
