#!/usr/bin/env bash
# build.sh [PRESET[:TARGET]|page]... - configure where needed, and build. Without arguments
# what `make build` promises: build/wasm/core.wasm, the page, build/release/tidemark.
set -eu
cd "$(dirname "$0")/.." || exit
. scripts/env.sh

preset() { # NAME TARGET
  local ninja=build/$1/build.ninja
  # ninja notices a changed CMakeLists.txt by itself, but not changed presets.
  if [ ! -f "$ninja" ] || [ CMakePresets.json -nt "$ninja" ] || [ cmake/wasi.cmake -nt "$ninja" ]; then
    local log=build/configure-$1.log
    mkdir -p build
    cmake --preset "$1" >"$log" 2>&1 || {
      cat "$log"
      return 1
    }
    touch "$ninja"
  fi
  ninja -C "build/$1" --quiet "$2"
}

# The labeler and the npm package under it, if a file of them or core.wasm has changed.
page() {
  local stamp=build/page.stamp key
  key=$(find web labeler package-lock.json -type f \
    -not -path '*/node_modules/*' -not -path '*/dist/*' -not -path '*/build/*' \
    -not -name '*.tsbuildinfo' -print0 2>/dev/null |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64)
  key="$key $({ sha256sum <build/wasm/core.wasm; } 2>/dev/null || :)"
  if [ -f labeler/dist/index.html ] && [ "$(cat $stamp 2>/dev/null)" = "$key" ]; then
    return 0
  fi
  local log=build/page.log
  if ! { npm run build --if-present -w web && npm run build -w labeler; } >$log 2>&1; then
    cat $log
    return 1
  fi
  [ -f labeler/dist/index.html ] || {
    echo "build.sh: the labeler's build left no labeler/dist/index.html" >&2
    return 1
  }
  printf '%s\n' "$key" >$stamp
}

[ $# -gt 0 ] || set -- wasm page release:tidemark
for step; do
  case $step in
    page) page ;;
    *:*) preset "${step%:*}" "${step#*:}" ;;
    *) preset "$step" all ;;
  esac
done
