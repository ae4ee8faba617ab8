#!/usr/bin/env bash
# run.sh - the function on AWS Lambda as far as it can be tried without AWS: its zip and its
# template, and then the program beside stand-ins and DynamoDB Local. Needs the preset
# `release` and the built package. Prints TAP.
set -u
cd "$(dirname "$0")/../.." || exit
programs=build/release

node tests/lambda/package.mjs || echo "not ok - what is deployed (exit $?)"
tests/dynamodb/with-local.sh node tests/lambda/function.mjs \
  "$programs/tidemark-lambda" "$programs/tidemark" ||
  echo "not ok - the function beside DynamoDB Local (exit $?)"
