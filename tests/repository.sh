#!/usr/bin/env bash
# repository.sh - what must hold of the files themselves, whatever they do.
set -u
cd "$(dirname "$0")/.." || exit
number=0 bad=0

# absent NAME PATTERN PATHS... - no tracked or new file below PATHS may match.
absent() {
  local name=$1 pattern=$2 rows
  shift 2
  rows=$(git grep --untracked -nIE "$pattern" -- "$@" ':!tests/repository.sh' | cut -c1-160 | head -5)
  number=$((number + 1))
  if [ -n "$rows" ]; then
    printf '%s\nnot ok %d - repository: %s\n' "$rows" $number "$name"
    bad=1
  else
    echo "ok $number - repository: $name"
  fi
}

absent "no path of one machine" '(^|[^A-Za-z0-9_.*])/(work|root|home)/' .
absent "no address in a lock file" '"resolved": *"https?:' '*package-lock.json'
absent "nothing marked as unfinished" '\b(TODO|FIXME|XXX|HACK)\b' \
  '*.c' '*.h' '*.ts' '*.tsx' '*.mjs' '*.sh' '*.cmake' CMakeLists.txt Makefile
absent "no test waits by the clock" '\b(sleep|usleep|nanosleep|waitForTimeout)\b *\(' \
  tests 'web/test*' 'labeler/test*'
absent "no test is skipped" '\b(it|test|describe)\.(skip|only|todo|fails)\b' tests web labeler

# SQL is prepared; text that a printf makes is where an injection begins.
absent "no SQL made by printf" 'printf.*\b(SELECT|INSERT|UPDATE|DELETE FROM)\b' src

# The exports of core.wasm ask the host for nothing, and neither may the core natively.
absent "the core takes no clock, memory or randomness" \
  '\b(malloc|calloc|realloc|free|time|clock_gettime|rand|random|getrandom)\(' \
  src/core src/client ':!src/client/door.c' # the door has a host's memory
exit $bad
