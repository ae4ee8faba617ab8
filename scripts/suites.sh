# shellcheck shell=bash
# suites.sh - sourced: runs suites of any kind, counts what they ran, and closes with one
# line.
#
#   suite NAME READER COMMAND...   one suite; READER turns its log into a count
#   closing                        "N passed, N failed", and the status
#
# A suite fails if a test of it failed, if its command failed though no test did (a crash,
# a build error), and if it ran no test: a suite that cannot fail looks exactly like one
# that passes. A passing suite prints its count and its seconds, a failing one what went
# wrong.
#
# A reader is a function read_NAME: the log on stdin, "PASSED FAILED" as the last line on
# stdout; lines before it are shown as the explanation. tests/runner tries all of this on
# suites that fail, crash, and run nothing.

suites_passed=0 suites_failed=0
suites_logs=${suites_logs:-build/test-logs}

suite() {
  local name=$1 reader=$2 log started seconds status=0 counted passed failed why
  shift 2
  log=$suites_logs/$(printf '%s' "$name" | tr -cs 'A-Za-z0-9\n' '-').log
  mkdir -p "$suites_logs"
  started=$(date +%s%N)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  seconds=$(awk -v ns=$(($(date +%s%N) - started)) 'BEGIN { printf "%.1f", ns / 1e9 }')

  why=$("read_$reader" <"$log")
  counted=${why##*$'\n'}
  why=${why%"$counted"}
  read -r passed failed <<<"$counted"
  if [ $((passed + failed)) -eq 0 ]; then
    failed=1 why+="ran no test (exit $status)"$'\n'
  elif [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1 why+="exit $status, though no test failed"$'\n'
  fi
  suites_passed=$((suites_passed + passed))
  suites_failed=$((suites_failed + failed))
  if [ "$failed" -eq 0 ]; then
    printf '%-28s %6d passed %28s s\n' "$name" "$passed" "$seconds"
    return 0
  fi
  printf '%-28s %6d passed %6d FAILED %14s s\n' "$name" "$passed" "$failed" "$seconds"
  if [ -n "$why" ]; then
    printf '%s' "$why" | sed 's/^/    /'
  else
    tail -n 60 "$log" | sed 's/^/    /'
  fi
  printf '    the whole log: %s\n' "$log"
  return 0 # the count has it; the next suite runs all the same
}

closing() {
  printf '%d passed, %d failed\n' "$suites_passed" "$suites_failed"
  [ "$suites_failed" -eq 0 ] && [ "$suites_passed" -gt 0 ]
}

# ---- readers ------------------------------------------------------------------------

# TAP, as our own scripts print it: "ok ..." and "not ok ...".
read_tap() {
  awk '
    /^ok / { passed++ }
    /^not ok / { failed++ }
    { line[NR] = $0 }
    END {
      if (failed) for (i = NR > 60 ? NR - 59 : 1; i <= NR; i++) print line[i]
      print passed + 0, failed + 0
    }'
}

# A program that closes with "N passed, N failed".
read_closing() {
  awk '
    /^[0-9]+ passed, [0-9]+ failed$/ { passed = $1; failed = $3 }
    { line[NR] = $0 }
    END {
      if (failed) for (i = NR > 200 ? NR - 199 : 1; i <= NR; i++) print line[i]
      print passed + 0, failed + 0
    }'
}

# node --test and vitest, several of them in one log (workspaces), unless the command sums
# them up itself in a closing "N passed, N failed". node's own names for what did not run
# count as failures: nothing here is skipped.
read_node() {
  sed 's/\x1b\[[0-9;]*m//g' | awk '
    $1 ~ /^(#|ℹ)$/ && $2 == "pass" && NF == 3 { passed += $3 }
    $1 ~ /^(#|ℹ)$/ && $2 ~ /^(fail|cancelled|skipped|todo)$/ && NF == 3 { failed += $3 }
    $1 == "Tests" && /\([0-9]+\)$/ { # "Tests  1 failed | 2 skipped | 3 passed (6)"
      for (i = 2; i < NF; i++) {
        if ($(i + 1) == "passed") passed += $i
        if ($(i + 1) ~ /^(failed|skipped|todo)$/) failed += $i
      }
    }
    /^[0-9]+ passed, [0-9]+ failed$/ { closed = 1; all = $1; none = $3 }
    { line[NR] = $0 }
    END {
      if (closed) { passed = all; if (none > failed) failed = none }
      if (failed) for (i = NR > 200 ? NR - 199 : 1; i <= NR; i++) print line[i]
      print passed + 0, failed + 0
    }'
}

# ctest -V over programs that print TAP (cmocka). Counts the tests inside the programs;
# a program that ends badly without naming a failed test is one more failure, and so is
# one that ran fewer tests than it announced, or none.
read_ctest() {
  awk '
    match($0, /^[0-9]+: /) {
      k = substr($0, 1, RLENGTH - 2)
      text = substr($0, RLENGTH + 1)
      if (text ~ /^1\.\.[0-9]+$/) plan[k] += substr(text, 4)
      else if (text ~ /^ok [0-9]+ / && text !~ /# SKIP/) ok[k]++
      else if (text ~ /^(not )?ok [0-9]+ /) bad[k]++
      if (text !~ /^(Test command|Working Directory|Environment variables|Test timeout)/)
        out[k] = out[k] "  " text "\n"
      next
    }
    match($0, /^ *[0-9]+\/[0-9]+ Test +#[0-9]+: /) {
      k = $0
      sub(/^[^#]*#/, "", k)
      sub(/:.*/, "", k)
      name[k] = $0
      sub(/^[^#]*#[0-9]+: */, "", name[k])
      order[++count] = k
      next
    }
    { other[++others] = $0 }
    END {
      for (i = 1; i <= count; i++) {
        k = order[i]
        good = name[k] ~ / Passed +[0-9.]+ sec *$/
        sub(/ \.\.+ *(\*\*\*)?/, ": ", name[k])
        missing = plan[k] - ok[k] - bad[k]
        why = ""
        if (missing < 0) missing = 0
        if (ok[k] + bad[k] + missing == 0) why = "ran no test"
        else if (missing > 0) why = missing " of " plan[k] " tests did not run"
        else if (!good && !bad[k]) why = "ended badly after its tests"
        extra = missing + (why != "" && missing == 0)
        passed += ok[k]
        failed += bad[k] + extra
        if (bad[k] + extra > 0) {
          print name[k] (why != "" ? " - " why : "")
          n = split(out[k], lines, "\n")
          if (n > 80) print "  ... (" n - 80 " lines before)"
          for (j = n > 80 ? n - 79 : 1; j < n; j++) print lines[j]
        }
      }
      if (count == 0) for (i = others > 60 ? others - 59 : 1; i <= others; i++) print other[i]
      print passed + 0, failed + 0
    }'
}
