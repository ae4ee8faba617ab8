#!/usr/bin/env bash
# headers.sh - every header of ours compiles alone, so that any file may include it first.
set -u
cd "$(dirname "$0")/.." || exit
mapfile -t headers < <(find src -name '*.h' | LC_ALL=C sort)

one() {
  local header=${1#src/} said
  if said=$(printf '#include "%s"\ntypedef int not_empty;\n' "$header" | gcc -std=c11 -D_POSIX_C_SOURCE=200809L -Isrc \
    -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c - 2>&1); then
    echo "ok - headers $header"
  else
    printf '%s\nnot ok - headers %s\n' "$said" "$header"
    return 1
  fi
}
export -f one
printf '%s\n' "${headers[@]}" | xargs -P 2 -I{} bash -c 'one {}'
