#!/usr/bin/env bash
# manual.sh - the man page names every command and every option that --help names, and
# none that it does not. Needs build/release/tidemark.
set -u
cd "$(dirname "$0")/.." || exit
program=build/release/tidemark
page=docs/man/tidemark.1
failed=0

say() { # NAME MISSING - one test
  if [ -z "$2" ]; then
    echo "ok - manual $1"
  else
    printf '    %s\nnot ok - manual %s\n' "$2" "$1"
    failed=1
  fi
}

# mdoc's macros taken off: `.It Fl -data Ar DIR` names --data.
options_of_page() { grep -oE 'Fl -[a-z][a-z-]*' "$page" | sed 's/Fl -/--/' | sort -u; }
options_of_help() {
  for command in $commands; do
    "$program" "$command" --help | grep -oE '(^|[ (])--[a-z][a-z-]+' | grep -oE -- '--.*'
  done | sort -u
}
lines() { tr '\n' ' ' | sed 's/ $//'; }

commands=$("$program" --help | awk '/^  tidemark [a-z]+ +[a-z]/ { print $2 }' | sort -u)
for command in $commands; do
  missing=
  grep -qE "^\.Ss .*\b$command\b" "$page" || missing="no section \"$command\""
  say "tells of tidemark $command" "$missing"
done

options=$(options_of_help; printf -- '--help\n--version\n')
say "has every option" "$(comm -23 <(sort -u <<<"$options") <(options_of_page) | lines)"
say "has no other option" "$(comm -13 <(sort -u <<<"$options") <(options_of_page) | lines)"
exit $failed
