#!/usr/bin/env bash
# layers.sh - who may know whom (docs/ARCHITECTURE.md). Prints the first include of each
# room that looks outward, and fails. One TAP line a room.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2
status=0

# room MAY-INCLUDE [SYSTEM] - two extended regular expressions over what stands between
# the quotes and between the angle brackets. Without SYSTEM any system header may be
# used; an include without its room's name is always wrong. A main.c is where a program is
# put together, and may know all.
room() {
  local name=$1 own=$2 system=${3:-.*} bad
  [ -d "src/$name" ] || return 0
  bad=$(grep -nE '^[[:space:]]*#[[:space:]]*include' -r "src/$name" --include='*.[ch]' --exclude=main.c |
    LC_ALL=C sort | grep -vE "include[[:space:]]*(\"($own)\"|<($system)>)" | head -n 1)
  if [ -n "$bad" ]; then
    printf '%s\n  %s may include only %s%s\nnot ok - layers %s\n' "$bad" "$name" "$own" \
      "${3:+ and <$3>}" "$name"
    status=1
  else
    printf 'ok - layers %s\n' "$name"
  fi
}

freestanding='(stdbool|stddef|stdint|string)\.h'
# What brings the outside in: sockets, files, clocks, threads, the libraries of the rooms.
sans_io='(std(arg|bool|def|int|io|lib)|string|inttypes|openssl/[a-z0-9_]+)\.h'

room core 'core/[a-z0-9_]+\.h' "$freestanding"
room client '(core|client)/[a-z0-9_]+\.h' "$freestanding"
room service '((core|service)/[a-z0-9_]+|store/store)\.h' "$sans_io"
room store '(core|store)/[a-z0-9_]+\.h'
room net '(core|service|net)/[a-z0-9_]+\.h'
room sim '((core|client|service|sim)/[a-z0-9_]+|store/store)\.h'
room lambda '((core|lambda)/[a-z0-9_]+|service/service|store/(store|aws_[a-z]+|dynamodb_(call|row)))\.h'
room cmd '(core|client|service|store|net|sim|cmd)/[a-z0-9_]+\.h'

# The labeler is what a user of the package writes: it sees the package's names only.
if [ -d labeler/src ]; then
  bad=$(grep -nE "(from|import)[[:space:](]*[\"'][^\"']*(\.\./web|/web/|tidemark/(src|dist))" \
    -r labeler/src --include='*.ts' --include='*.tsx' | head -n 1)
  if [ -n "$bad" ]; then
    printf '%s\nnot ok - layers labeler\n' "$bad"
    status=1
  else
    echo 'ok - layers labeler'
  fi
fi
exit $status
