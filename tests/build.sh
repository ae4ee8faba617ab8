#!/usr/bin/env bash
# build.sh - what `make build` promises: the program hardened, core.wasm the same bytes
# from whichever build, and nothing to do the second time.
set -u
cd "$(dirname "$0")/.." || exit
number=0 bad=0

check() { # NAME COMMAND...
  local name=$1
  shift
  number=$((number + 1))
  if "$@"; then
    echo "ok $number - build: $name"
  else
    echo "not ok $number - build: $name"
    bad=1
  fi
}

check "make build" scripts/build.sh
[ $bad -eq 0 ] || exit 1

bootstrap_is_quiet() {
  local said
  if said=$(scripts/bootstrap.sh build 2>&1) && [ -z "$said" ]; then return 0; fi
  printf '%s\n' "$said"
  return 1
}
check "the second bootstrap has nothing to say" bootstrap_is_quiet

nothing_left() {
  local target said
  for target in wasm:all release:tidemark; do
    said=$(ninja -C "build/${target%:*}" "${target#*:}") || return 1
    case $said in *"no work to do"*) ;; *)
      printf '%s\n' "$said"
      return 1
      ;;
    esac
  done
}
check "the second build has nothing to do" nothing_left

check "core.wasm is the same from both builds" cmp build/wasm/core.wasm build/release/core.wasm
check "the page is embedded" grep -q '"/index.html", "text/html' build/release/assets/assets.c

elf() { readelf -Wa build/release/tidemark; }
check "position independent" grep -qE 'Type: +DYN' <(elf)
check "relocations read-only" grep -q 'GNU_RELRO' <(elf)
check "symbols bound at start" grep -qE 'BIND_NOW|Flags: .*NOW' <(elf)
check "no executable stack" grep -qE 'GNU_STACK .* RW ' <(elf)
check "stack protector" grep -q '__stack_chk_fail' <(elf)
check "checked libc calls" grep -qE '__[a-z]+_chk' <(elf)
check "no run path" bash -c '! readelf -d build/release/tidemark | grep -qE "R(UN)?PATH"'
no_path() { ! strings -a build/release/tidemark | grep -F "$PWD/"; }
check "no path of the build in it" no_path
exit $bad
