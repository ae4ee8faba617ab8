#!/usr/bin/env bash
# models.sh share|whole - the Spin models of tests/models, each searched exhaustively, small
# or larger; and every deliberately broken variant of each (-DBREAK_...), in which the search
# must find a fault: a model that cannot fail proves nothing. TAP, with the states visited.
set -u
cd "$(dirname "$0")/.." || exit
case ${1:-share} in
  share) edits=3 more=5 ;;
  whole) edits=4 more=6 ;;
  *) echo "models.sh share|whole" >&2 && exit 2 ;;
esac
status=0 root=$PWD

# search MODEL VARIANT - leaves its log; the status is pan's: 0 even when it found a fault.
search() {
  local where=build/models/$1-$2
  rm -rf "$where" && mkdir -p "$where"
  cd "$where" || return
  {
    spin -DEDITS="$edits" ${2:+-D"$2"} -a "$root/tests/models/$1.pml" &&
      gcc "-O$([ -n "$2" ] && echo 0 || echo 2)" -w -DSAFETY -DCOLLAPSE -DMEMLIM=6000 -o pan pan.c &&
      ./pan -m200000 >said && cat said
  } >log 2>&1
}

# The first is the model, the rest are its faults.
try() {
  local model=$1 variant log errors states
  shift
  for variant in "" "$@"; do
    log=build/models/$model-$variant/log
    (search "$model" "$variant")
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$log")
    states=$(awk '/states, stored/ { print $1 }' "$log")
    if [ -z "$variant" ] && [ "${errors:-1}" = 0 ] && ! grep -q 'truncated\|not completed\|reached.*limit' "$log"; then
      echo "ok - model $model: $states states, $edits edits, nothing wrong in any"
    elif [ -n "$variant" ] && [ "${errors:-0}" -gt 0 ]; then
      echo "ok - model $model with $variant: found wrong: $(sed -n 's/^pan:[0-9]*: //p' "$log" | head -1)"
    else
      tail -n 30 "$log" | sed 's/^/# /'
      [ -z "$variant" ] && echo "# the way there: cd build/models/$model- && spin -t -p -DEDITS=$edits -k $model.pml.trail ../../../tests/models/$model.pml"
      echo "not ok - model $model${variant:+ with $variant: nothing was found}"
      status=1
    fi
  done
}

try save BREAK_CLEAR BREAK_BY_VERSION BREAK_IDS BREAK_RENAME BREAK_EARLY
try guard BREAK_TIMER BREAK_OPEN BREAK_MERGE BREAK_RESEND
edits=$more # this one is small
try cursor BREAK_ORDER BREAK_HOLE BREAK_MARK BREAK_OFFER BREAK_BEHIND
exit $status
