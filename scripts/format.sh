#!/usr/bin/env bash
# format.sh [--check] - clang-format over our C; with --check nothing is written, and the
# first line of each file that would change is shown.
set -u
cd "$(dirname "$0")/.." || exit
mapfile -t files < <(find src tests bench -name node_modules -prune -o -name '*.[ch]' -print | LC_ALL=C sort)
if [ "${1:-}" != --check ]; then
  clang-format-14 -i "${files[@]}"
  exit
fi
bad=$(clang-format-14 --dry-run --ferror-limit=1 "${files[@]}" 2>&1 | grep -E 'warning|error')
if [ -n "$bad" ]; then
  printf '%s\nnot ok - format (make format mends it)\n' "$bad"
  exit 1
fi
printf 'ok - format of %d files\n' "${#files[@]}"
