#!/usr/bin/env bash
# test.sh - every suite, the quick and the telling ones first; what `make test` runs.
#
#   scripts/test.sh           all
#   scripts/test.sh WORD...   only the suites whose name contains one of the words
#
# A suite is one line: name, reader of its count (scripts/suites.sh), command.
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh
. scripts/suites.sh

only=("$@")
run() { # a suite, unless the arguments name others
  local word
  if [ ${#only[@]} -gt 0 ]; then
    for word in "${only[@]}"; do
      case $1 in *"$word"*) suite "$@" && return ;; esac
    done
    return 0
  fi
  suite "$@"
}

# native PRESET - build it and run its ctest tests, two at a time.
ctests() {
  scripts/build.sh "$1" && ctest --preset "$1" -j2 -V --no-tests=error
}

# The simulator for SECONDS from seed FIRST on, on every core. What seeds found before is
# among those that stay; the fresh ones begin at a number that the log's last lines tell.
simulated() {
  build/release/tidemark simulate --seeds 1000000 --seconds "$2" --first-seed "$1" &&
    echo "again: tidemark simulate --seeds N --first-seed $1"
}
found() { # seeds that broke something once
  local seed
  for seed in 1 550 715 836 1875 3064 3914 4280 6127 6630 7355 11178 12957 13919 14389 \
    15964 22620 23228 24068 24287 500446 500864 507654 515515 515942 517901 600285 \
    707668 718456 804505 818461 802624 903400 918808 919688 1003034 1114942 1118578 \
    1302238 1326317 2011019 2016335 3001465 3001818 15786430225 1795481405282; do
    if build/release/tidemark simulate --seed "$seed"; then
      echo "ok - seed $seed"
    else
      echo "not ok - seed $seed"
    fi
  done
}

golden() { build/release/tidemark check "$@" tests/golden/*.json; }
# With every chosen limit small: pages, parts and batches are cut in nearly every case.
tiny() {
  scripts/build.sh tiny:tidemark &&
    build/tiny/tidemark check tests/golden/*.json tests/cmd/cases/*.json
}

run "layers" tap scripts/layers.sh
run "format" tap scripts/format.sh --check
run "repository" tap tests/repository.sh
run "headers" tap tests/headers.sh
run "runner" tap tests/runner/run.sh
run "incidents" tap tests/incidents.sh
run "mutants" tap node tests/mutants/mutants.mjs check

run "build" tap tests/build.sh
run "manual" tap tests/manual.sh
run "C, release" ctest ctests release
run "core.wasm" tap node tests/wasm/module.mjs
run "golden" closing golden
run "golden, wasm" closing golden --engine wasm
run "simulate, found" tap found
run "simulate, stay" closing simulated 1 40
run "simulate, fresh" closing simulated "$(date +%s)000" 10
run "golden, tiny" closing tiny
run "C, wasm" ctest ctests tests-wasm
run "C, asan" ctest ctests asan
run "dynamodb" tap tests/dynamodb/run.sh
run "lambda" tap tests/lambda/run.sh
run "web" node npm test -w web
run "C, tsan" ctest ctests tsan
run "crash" tap scripts/crash.sh share
run "chaos" tap scripts/chaos.sh share
run "browser" node npm test -w tests/browser
run "package" node node --test --test-concurrency=1 --test-reporter=spec --test-timeout=600000 tests/package/*.test.mjs
run "proof" tap scripts/proof.sh share
run "models" tap scripts/models.sh share
run "fuzz" tap scripts/fuzz.sh --seconds 5 --fresh

closing
