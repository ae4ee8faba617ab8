#!/usr/bin/env bash
# fuzz.sh SECONDS [NAME...] - every fuzz target (or those named) for so long, from its
# corpus tests/fuzz/corpus/NAME and the vectors. Prints a TAP line each; what crashed one
# is left in build/fuzz/crashes and belongs into the corpus once it is understood.
set -u
cd "$(dirname "$0")/.." || exit
seconds=${1:?how many seconds}
shift
scripts/build.sh fuzz || exit 1

status=0 number=0
mkdir -p build/fuzz/crashes build/fuzz/corpus
for program in build/fuzz/*_fuzz_*; do
  if [ ! -f "$program" ] || [ ! -x "$program" ]; then continue; fi
  room_name=${program##*/} name=${program##*_fuzz_}
  if [ $# -gt 0 ]; then
    case " $* " in *" $name "*) ;; *) continue ;; esac
  fi
  number=$((number + 1))
  grown=build/fuzz/corpus/$room_name # what a run finds interesting stays out of the tree
  mkdir -p "$grown"
  seeds=()
  for directory in "tests/fuzz/corpus/$name" "tests/fuzz/corpus/$room_name"; do
    [ -d "$directory" ] && seeds+=("$directory")
  done
  log=build/fuzz/$room_name.log
  if "$program" "$grown" "${seeds[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -max_len=65536 -artifact_prefix=build/fuzz/crashes/ -print_final_stats=1 >"$log" 2>&1; then
    runs=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
    echo "ok $number - fuzz $name: $runs runs in $seconds s, from ${#seeds[@]} seed directories"
  else
    tail -n 40 "$log"
    echo "not ok $number - fuzz $name"
    status=1
  fi
done
exit $status
