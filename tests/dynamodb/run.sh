#!/usr/bin/env bash
# run.sh - what is tried against others' code: our signatures by two libraries that make
# them too, the store by Amazon's own DynamoDB Local. Needs the tests of the preset
# `release`. Prints TAP.
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

tests/dynamodb/with-local.sh env CMOCKA_MESSAGE_OUTPUT=TAP $programs/dynamodb_store ||
  echo "not ok - the store on DynamoDB Local (exit $?)"
