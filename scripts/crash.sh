#!/usr/bin/env bash
# crash.sh [share] - the real daemon killed, its calls failing, its disk full
# (docs/CRASH.md); what `make crash` runs. share: the part that `make test` runs.
# TAP, and a table at its end. Needs build/release/tidemark.
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh

tools=build/crash
mkdir -p $tools
flags=(-std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
gcc "${flags[@]}" -Wno-missing-prototypes -shared -fPIC tests/crash/shim.c -o $tools/shim.so -ldl
gcc "${flags[@]}" tests/crash/look.c -o $tools/look -lsqlite3
exec node tests/crash/crash.mjs "$@"
