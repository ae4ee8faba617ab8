#!/usr/bin/env bash
# pack.sh [ZIP] - the function as Lambda takes it, by default build/lambda/tidemark-lambda.zip:
# `bootstrap`, and in lib/ each library that it needs and provided.al2023 may lack. The same
# bytes from the same build and the same libraries. Needs build/release/tidemark-lambda.
#
# glibc is not in it: the runtime has 2.34, and nothing here asks for a newer symbol, which
# tests/lambda/package.mjs checks.
set -eu
cd "$(dirname "$0")/../.." || exit
program=build/release/tidemark-lambda
zip=$(realpath -m "${1:-build/lambda/tidemark-lambda.zip}")
glibc='/(libc|libm|libdl|libpthread|libresolv|librt|ld-linux[a-z0-9-]*)\.so\.'

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/lib" "$(dirname "$zip")"
strip --strip-debug -o "$stage/bootstrap" "$program"
ldd "$program" | awk '$3 ~ "^/" { print $3 }' | grep -vE "$glibc" | while read -r library; do
  cp -L "$library" "$stage/lib/$(basename "$library")"
done
chmod 755 "$stage/bootstrap" "$stage"/lib/*
find "$stage" -exec touch -h -d '2020-01-01 00:00:00 UTC' {} +
rm -f "$zip"
cd "$stage"
find . -type f | sed 's,^\./,,' | LC_ALL=C sort | TZ=UTC zip -X -9 -q "$zip" -@
printf '%s %s bytes\n' "$(sha256sum <"$zip" | cut -c1-64)" "$(stat -c %s "$zip")"
