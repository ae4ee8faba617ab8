#!/usr/bin/env bash
# lint.sh - the slow readers: clang-tidy, cppcheck, shellcheck, tsc. All of them speak
# before the script fails.
set -u
cd "$(dirname "$0")/.." || exit
. scripts/env.sh
status=0

scripts/format.sh --check || status=1
scripts/layers.sh || status=1
scripts/build.sh asan || exit 1 # its compile_commands.json names clang's flags
mapfile -t sources < <(find src -name '*.c' -not -name wasm.c -not -name rt.c | LC_ALL=C sort)
printf '%s\n' "${sources[@]}" |
  nice xargs -P 2 -n 4 clang-tidy-14 --quiet -p build/asan 2>/dev/null || status=1
cppcheck --quiet --project=build/asan/compile_commands.json --std=c11 --error-exitcode=1 \
  --enable=warning,performance,portability --inline-suppr \
  --suppress=missingIncludeSystem --suppress='*:*/build/*' \
  --suppress=nullPointerRedundantCheck --suppress=uninitvar --suppress=legacyUninitvar \
  --suppress=pointerSize --suppress=memleak -i tests || status=1
# SC2317: it cannot see that a function is called by its name
shellcheck -x -e SC2317 -P SCRIPTDIR/.. scripts/*.sh tests/*.sh tests/*/*.sh .ci/run || status=1
for package in web labeler examples/vanilla examples/react; do
  [ ! -f $package/tsconfig.json ] || node_modules/.bin/tsc --noEmit -p $package || status=1
done
exit $status
