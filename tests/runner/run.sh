#!/usr/bin/env bash
# run.sh - the runner itself (scripts/suites.sh): what it counts, and that a suite which
# fails, crashes, lies about its tests or runs none makes the whole run fail.
set -u
cd "$(dirname "$0")/../.." || exit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
suites_logs=$work/logs
. scripts/suites.sh

number=0 bad=0
# case NAME WANT READER COMMAND... - runs a suite of its own; WANT is "PASSED FAILED EXIT".
case_() {
  local name=$1 want=$2 got
  shift 2
  got=$(
    suite "$name" "$@" >"$work/said"
    line=$(closing) && status=0 || status=1
    awk -v status="$status" '{ gsub(",", ""); print $1, $3, status }' <<<"$line"
  )
  number=$((number + 1))
  if [ "$got" = "$want" ]; then
    echo "ok $number - runner: $name"
  else
    echo "# passed, failed, status are '$got', want '$want'; the runner said:"
    sed 's/^/# /' "$work/said"
    echo "not ok $number - runner: $name"
    bad=1
  fi
}

# ---- text readers -------------------------------------------------------------------

says() { printf '%b' "$1"; }
says_and_fails() {
  says "$1"
  return 3
}
case_ "tap passes" "2 0 0" tap says 'ok 1 - a\nok 2 - b\n'
case_ "tap fails" "1 1 1" tap says_and_fails 'ok 1 - a\nnot ok 2 - b\n'
case_ "tap fails but its command says 0" "1 1 1" tap says 'ok 1 - a\nnot ok 2 - b\n'
case_ "no test at all" "0 1 1" tap says 'all is well\n'
case_ "no output at all" "0 1 1" tap true
case_ "passes, then dies" "1 1 1" tap says_and_fails 'ok 1 - a\n'
case_ "is killed" "1 1 1" tap bash -c 'echo ok 1 - a; kill -9 $$'
case_ "is not there" "0 1 1" tap /nonexistent/program
case_ "closing line" "174 0 0" closing says 'x\n174 passed, 0 failed\n'
case_ "closing line with failures" "173 1 1" closing says_and_fails '173 passed, 1 failed\n'
case_ "closing line of nothing" "0 1 1" closing says '0 passed, 0 failed\n'
case_ "closing line inside other words" "0 1 1" closing says 'so 5 passed, 0 failed here\n'
case_ "node, TAP" "3 0 0" node says '# tests 3\n# pass 3\n# fail 0\n# cancelled 0\n'
case_ "node, spec" "3 1 1" node says '\xe2\x84\xb9 pass 3\n\xe2\x84\xb9 fail 1\n'
case_ "node, a skipped test is a failed one" "3 1 1" node says '# pass 3\n# fail 0\n# skipped 1\n'
case_ "node, nothing ran" "0 1 1" node says '# tests 0\n# pass 0\n# fail 0\n'
case_ "vitest" "12 0 0" node says '      Tests  12 passed (12)\n'
case_ "vitest in colour" "12 0 0" node says '\x1b[2m   Tests \x1b[22m \x1b[1m12 passed\x1b[22m (12)\n'
case_ "vitest fails" "2 1 1" node says_and_fails ' Tests  1 failed | 2 passed (3)\n'
case_ "vitest with its own sum" "9 0 0" node says ' Tests  9 passed (9)\n9 passed, 0 failed\n'
case_ "a sum that hides a failure" "2 1 1" node says ' Tests  1 failed | 2 passed (3)\n2 passed, 0 failed\n'
case_ "two workspaces in one log" "5 0 0" node says '# pass 3\n# fail 0\n Tests  2 passed (2)\n'

# ---- cmocka under ctest -------------------------------------------------------------

cat >"$work/program.c" <<'C'
#include <unistd.h>
#include "t.h"
static void good(void **state) { (void)state; }
static void bad(void **state) { (void)state; t_row = "the row"; T_EQ(1, 2); }
static void dies(void **state) { (void)state; abort(); }
static void leaves(void **state) { (void)state; fflush(stdout); _exit(0); }
static void asserts(void **state) { (void)state; TM_ASSERT(1 == 2); }
static void skips(void **state) { (void)state; skip(); }
int main(void) {
    (void)good, (void)bad, (void)dies, (void)leaves, (void)asserts, (void)skips;
    const struct CMUnitTest tests[] = {TESTS};
    (void)tests;
    return RUN;
}
C
ctest_of() { # DEFINES... - one program each, run by a ctest of their own
  local directory=$work/ctest defines number=0
  rm -rf "$directory"
  mkdir -p "$directory"
  for defines; do
    number=$((number + 1))
    # shellcheck disable=SC2086
    gcc -std=c11 -D_POSIX_C_SOURCE=200809L -Isrc -Itests -DTESTS="$defines" \
      -DRUN="${RUN:-cmocka_run_group_tests(tests, NULL, NULL)}" \
      "$work/program.c" -lcmocka -o "$directory/p$number" || return
    printf 'add_test(room/p%d "%s/p%d")\nset_tests_properties(room/p%d PROPERTIES %s)\n' \
      $number "$directory" $number $number 'ENVIRONMENT "CMOCKA_MESSAGE_OUTPUT=TAP"' \
      >>"$directory/CTestTestfile.cmake"
  done
  ctest --test-dir "$directory" -V -j2 --no-tests=error
}
t() { printf 'cmocka_unit_test(%s),' "$@"; }
case_ "cmocka passes" "3 0 0" ctest ctest_of "$(t good good)" "$(t good)"
case_ "cmocka fails" "2 1 1" ctest ctest_of "$(t good bad good)"
case_ "cmocka: one program of two fails" "3 1 1" ctest ctest_of "$(t good good)" "$(t bad good)"
case_ "cmocka: a crash" "1 1 1" ctest ctest_of "$(t good dies)"
case_ "cmocka: a broken TM_ASSERT" "0 2 1" ctest ctest_of "$(t asserts good)"
case_ "cmocka: exits 0 in the middle" "1 2 1" ctest ctest_of "$(t good leaves good)"
case_ "cmocka: a skipped test is a failed one" "1 1 1" ctest ctest_of "$(t good skips)"
RUN=0 case_ "cmocka: a program without tests" "0 1 1" ctest ctest_of "$(t good)"
RUN=7 case_ "cmocka: a program that only fails" "0 1 1" ctest ctest_of "$(t good)"
RUN='cmocka_run_group_tests(tests,NULL,NULL)+3' \
  case_ "cmocka: passes, then ends badly (a leak)" "1 1 1" ctest ctest_of "$(t good)"
case_ "ctest without tests" "0 1 1" ctest ctest_of
case_ "does not compile" "0 1 1" ctest ctest_of "$(t nosuchtest)"
ctest_of "$(t bad)" >"$work/log" 2>&1
number=$((number + 1))
if read_ctest <"$work/log" | grep -q '\[the row\]'; then
  echo "ok $number - runner: the failing row is shown"
else
  echo "not ok $number - runner: the failing row is shown"
  bad=1
fi

# ---- the sum ------------------------------------------------------------------------

sum=$(
  suite one tap says 'ok 1 - a\n' >/dev/null
  suite two tap says_and_fails 'not ok 1 - a\n' >/dev/null
  suite three closing says '40 passed, 0 failed\n' >/dev/null
  closing
  echo "status $?"
)
number=$((number + 1))
if [ "$sum" = "41 passed, 1 failed
status 1" ]; then
  echo "ok $number - runner: the sum over suites"
else
  printf '# %s\nnot ok %d - runner: the sum over suites\n' "$sum" $number
  bad=1
fi
exit $bad
