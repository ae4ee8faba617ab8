#!/usr/bin/env bash
# wasm-size.sh [COUNT] - how large core.wasm is, and its COUNT largest functions (40).
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh
scripts/build.sh wasm
printf '%s bytes, %s gzipped\n' \
  "$(wc -c <build/wasm/core.wasm)" "$(gzip -9 -c build/wasm/core.wasm | wc -c)"

# The same link once more with the names, as it is before wasm-opt.
link=$(ninja -C build/wasm -t commands core.wasm | grep -o '[^ ]*wasm-ld-14 .*')
link=${link%% && *} link=${link/--strip-all/--strip-debug}
(cd build/wasm && sh -c "${link% -o *} -o core.named.wasm")
node scripts/wasm-functions.mjs build/wasm/core.named.wasm "${1:-40}"
