#!/usr/bin/env bash
# fuzz.sh [--runs N | --seconds N] [--jobs N] [--fresh] [NAME...]
# fuzz.sh --merge [NAME...]
#
# Every fuzz target, or those whose name contains a NAME: so many executions, or so many
# seconds each, beginning with its corpus tests/fuzz/corpus/TARGET and with what earlier
# runs found (build/fuzz/grown; not with --fresh). A TAP line for each, and a table at
# the end. What crashed one is in build/fuzz/crashes, with the command that repeats it.
#
# No run writes into the tree: a fuzzer is given a copy of the corpus. Only --merge does;
# it keeps what adds coverage, within FILES_MAX and BYTES_MAX a target; the larger inputs
# first, which cover more than as many small ones.
# Files with a name of their own (seeds that somebody wrote, inputs of mended faults)
# always stay.
set -u
cd "$(dirname "$0")/.." || exit
FILES_MAX=60 BYTES_MAX=200000
made=(-regextype posix-extended -regex '.*/[0-9a-f]{40}') # a name that a fuzzer gave
self=scripts/fuzz.sh corpus=tests/fuzz/corpus out=build/fuzz
limits=(-timeout=20 -rss_limit_mb=2048 -max_len=16384)
# To note where each block came from, and to keep what was freed for long, costs most where
# SQLite is; an input that breaks something is repeated without this, and tells all.
export ASAN_OPTIONS=${ASAN_OPTIONS:-malloc_context_size=2:quarantine_size_mb=16}

# ---- one target ---------------------------------------------------------------------

seeds_copy() { # TARGET: prints where its corpus was copied to
  local to=$out/seeds/$1
  rm -rf "$to"
  mkdir -p "$to" "$out/grown/$1"
  cp -r "$corpus/$1/." "$to/"
  printf '%s\n' "$to"
}

stat_of() { awk -v name="stat::$2:" '$1 == name { print $2 }' "$1"; }
coverage_of() { grep -o 'cov: [0-9]*' "$1" | tail -1 | cut -c6-; }

# Tells now and then how far a long run is.
watch_run() { # TARGET PID LOG
  local ticks=0
  while kill -0 "$2" 2>/dev/null; do
    sleep 0.2
    ticks=$((ticks + 1))
    if [ $((ticks % 100)) -eq 0 ]; then
      printf '# %-22s %s\n' "$1" "$(grep '^#[0-9]' "$3" | tail -1 | cut -c1-70)"
    fi
  done
}

run_one() { # TARGET: a TAP line, and a row for the table
  local target=$1 seeds first log=$out/$1.log began status=0 crash cov runs crashes=0
  seeds=$(seeds_copy "$target")
  first=$out/grown/$target
  if [ "$TM_FUZZ_FRESH" = yes ]; then
    first=$out/fresh/$target
    rm -rf "$first" && mkdir -p "$first"
  fi
  began=$(date +%s)
  "$out/$target" "$first" "$seeds" "$TM_FUZZ_STOP" "${limits[@]}" \
    -artifact_prefix="$out/crashes/$target-" -print_final_stats=1 >"$log" 2>&1 &
  watch_run "$target" $! "$log"
  wait $! || status=$?
  if [ "$first" != "$out/grown/$target" ]; then
    find "$first" -type f -exec cp -n {} "$out/grown/$target/" \;
  fi
  runs=$(stat_of "$log" number_of_executed_units) cov=$(coverage_of "$log")
  if [ $status -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
    printf 'ok - fuzz %s: %d runs\n' "$target" "$runs"
  else
    crashes=1
    crash=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
    tail -n 40 "$log" | sed 's/^/# /'
    [ -n "$crash" ] && printf '# again: %s/%s %s\n' "$out" "$target" "$crash"
    printf 'not ok - fuzz %s\n' "$target"
  fi
  printf '%-24s %10d %9d %7s %7d %8d\n' "$target" "${runs:-0}" \
    "$(stat_of "$log" average_exec_per_sec)" "${cov:--}" $crashes \
    $(($(date +%s) - began)) >"$out/rows/$target"
  return 0
}

merge_one() { # TARGET
  local target=$1 seeds kept=$out/merged/$1 file files=0 bytes=0 size
  seeds=$(seeds_copy "$target")
  rm -rf "$kept" && mkdir -p "$kept"
  find "$seeds" -type f "${made[@]:0:2}" ! "${made[@]:2}" -exec mv {} "$kept/" \;
  if ! "$out/$target" -set_cover_merge=1 -use_counters=0 "${limits[@]}" "$kept" "$seeds" \
    "$out/grown/$target" >"$out/$target.merge.log" 2>&1; then
    tail -n 20 "$out/$target.merge.log"
    return 1
  fi
  find "$corpus/$target" -type f "${made[@]}" -delete
  read -r files bytes < <(find "$corpus/$target" -type f -printf '%s\n' |
    awk '{ bytes += $1 } END { print NR, bytes + 0 }')
  while read -r size file; do
    if [ $((files + 1)) -gt $FILES_MAX ] || [ $((bytes + size)) -gt $BYTES_MAX ]; then continue; fi
    cp "$file" "$corpus/$target/"
    files=$((files + 1)) bytes=$((bytes + size))
  done < <(find "$kept" -type f "${made[@]}" -printf '%s %p\n' | sort -rn)
  rm -rf "$out/grown/$target"
  printf '%-24s %3d files, %6d bytes\n' "$target" "$files" "$bytes"
}

case ${1:-} in
  --one) run_one "$2" && exit ;;
  --merge-one) merge_one "$2" && exit || exit ;;
esac

# ---- all of them --------------------------------------------------------------------

stop=-max_total_time=60 jobs=2 fresh=no merge=no only=()
while [ $# -gt 0 ]; do
  case $1 in
    --runs) stop=-runs=$2 && shift ;;
    --seconds) stop=-max_total_time=$2 && shift ;;
    --jobs) jobs=$2 && shift ;;
    --fresh) fresh=yes ;;
    --merge) merge=yes ;;
    -*) echo "fuzz.sh: what is $1?" >&2 && exit 2 ;;
    *) only+=("$1") ;;
  esac
  shift
done
scripts/build.sh fuzz || exit 1
mkdir -p $out/crashes $out/rows $out/merged

targets=()
for program in "$out"/*_fuzz_*; do
  if [ ! -f "$program" ] || [ ! -x "$program" ]; then continue; fi
  target=${program##*/}
  source=tests/${target%%_fuzz_*}/fuzz_${target##*_fuzz_}.c
  if [ ! -f "$source" ]; then continue; fi # built once, renamed since
  if [ ! -d "$corpus/$target" ]; then
    echo "not ok - fuzz $target: there is no $corpus/$target"
    continue
  fi
  for name in "${only[@]:-_fuzz_}"; do
    case $target in *"$name"*) targets+=("$target") && break ;; esac
  done
done
if [ ${#targets[@]} -eq 0 ]; then
  echo "fuzz.sh: no such target" >&2
  exit 1
fi

if [ $merge = yes ]; then
  printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} "$self" --merge-one {}
  exit
fi

if [ ${#only[@]} -eq 0 ]; then # the corpora themselves
  bad=
  for directory in "$corpus"/*/; do
    name=${directory%/} name=${name##*/}
    [ -f "tests/${name%%_fuzz_*}/fuzz_${name##*_fuzz_}.c" ] || bad+=" $name:no-target"
    read -r files bytes < <(find "$directory" -type f -printf '%s\n' |
      awk '{ bytes += $1 } END { print NR, bytes + 0 }')
    [ "$files" -gt 0 ] || bad+=" $name:empty"
    [ "$files" -le $FILES_MAX ] || bad+=" $name:$files-files"
    [ "$bytes" -le $BYTES_MAX ] || bad+=" $name:$bytes-bytes"
  done
  if [ -z "$bad" ]; then echo "ok - corpora: small, each has its target"; else
    echo "not ok - corpora:$bad"
  fi
fi

rm -f $out/rows/*
said=$out/said.tap
printf '%s\n' "${targets[@]}" |
  TM_FUZZ_STOP=$stop TM_FUZZ_FRESH=$fresh xargs -P "$jobs" -I{} "$self" --one {} | tee "$said"
printf '# %-22s %10s %9s %7s %7s %8s\n' target runs runs/s edges crashes seconds
cat $out/rows/* | sed 's/^/# /' | sort -k2
[ -z "${bad:-}" ] && ! grep -q '^not ok' "$said" && [ "$(grep -c '^ok' "$said")" -eq ${#targets[@]} ]
