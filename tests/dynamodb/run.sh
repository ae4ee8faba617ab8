#!/usr/bin/env bash
# run.sh - what is tried against others' code: our signatures by two libraries that make
# them too; the store, the golden cases and the daemon by Amazon's own DynamoDB Local. Needs
# the preset `release` with its tests, and the npm package built (scripts/build.sh page). Prints TAP.
set -u
cd "$(dirname "$0")/../.." || exit
programs=build/release
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if TM_SIGNED=$scratch/signed $programs/store_test_aws_sign >"$scratch/log" 2>&1; then
  node tests/dynamodb/verify-signatures.mjs "$scratch/signed"
else
  cat "$scratch/log"
  echo "not ok - requests were signed"
fi

golden() { # every case, each on tables of its own
  AWS_ACCESS_KEY_ID=tests AWS_SECRET_ACCESS_KEY=secret AWS_REGION=eu-central-1 \
    $programs/tidemark check --json --store dynamodb --dynamodb-endpoint "$TM_DYNAMODB" \
    tests/golden/*.json | node -e '
      const { cases } = JSON.parse(require("fs").readFileSync(0, "utf8"));
      for (const one of cases) {
        if (!one.passed) console.log(`# ${JSON.stringify(one)}`);
        console.log(`${one.passed ? "ok" : "not ok"} - golden on DynamoDB Local: ${one.name}`);
      }'
}

beside() { # what runs beside one DynamoDB Local
  CMOCKA_MESSAGE_OUTPUT=TAP $programs/dynamodb_store ||
    echo "not ok - the store on DynamoDB Local (exit $?)"
  golden || echo "not ok - the golden cases on DynamoDB Local"
  node bench/bill.mjs hour || echo "not ok - the hour of make bench-bill (exit $?)"
  node tests/dynamodb/daemon.mjs $programs/tidemark ||
    echo "not ok - the daemon on DynamoDB Local (exit $?)"
  node tests/dynamodb/faults.mjs $programs/tidemark ||
    echo "not ok - the daemon when DynamoDB fails (exit $?)"
}
export -f beside golden
export programs
tests/dynamodb/with-local.sh bash -c beside || echo "not ok - beside DynamoDB Local"
