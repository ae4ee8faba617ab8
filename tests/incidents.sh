#!/usr/bin/env bash
# incidents.sh - every incident of docs/TRUST.md, section 3, has a test that carries its
# reference (repository#number), so that a failing test says whose loss it repeats.
#
# Where an incident cannot happen here yet, its row stands below with the reason.
set -u
cd "$(dirname "$0")/.." || exit
failed=0

# reference, then why there is no test of it
excused='
akka-persistence-cassandra#260   eventual reads: a store whose reads may be stale comes with DynamoDB
go-eventsource#12   eventual reads, too
actor-ts#736    eventual reads, too
'

# "amplify-js#8179, #8158" names one repository and two reports.
references() {
  awk '/^## 3\. /{on=1;next} /^## /{on=0} on && /^\| / && !/^\| incident/ {print}' docs/TRUST.md |
    awk -F'|' '{
      n = split($2, word, /[ ,;]+/)
      for (i = 1; i <= n; i++) {
        w = word[i]
        gsub(/[()]/, "", w)
        if (w !~ /#[0-9]+$/) { if (w != "PR" && w != "") repository = w; continue }
        at = index(w, "#")
        name = substr(w, 1, at - 1)
        if (name != "" && name != "PR") { sub(/.*\//, "", name); repository = name }
        print repository substr(w, at)
      }
    }' | sort -u
}

for reference in $(references); do
  repository=${reference%#*} number=${reference#*#}
  if grep -rqE --include='*.c' --include='*.json' --include='*.mjs' --include='*.ts' \
    --include='*.tsx' --exclude-dir=node_modules "$repository( PR)?#$number([^0-9]|$)" tests web/test* labeler examples 2>/dev/null; then
    echo "ok - incident $reference"
  elif grep -qE "^$repository#$number\s" <<<"$excused"; then
    echo "ok - incident $reference (not here: $(grep -E "^$repository#$number\s" <<<"$excused" | sed 's/^\S*\s*//'))"
  else
    echo "not ok - incident $reference has no test that names it"
    failed=1
  fi
done
exit $failed
