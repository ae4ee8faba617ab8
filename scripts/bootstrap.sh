#!/usr/bin/env bash
# bootstrap.sh build|test|lint - install what is needed and missing, and say what and why.
#
#   build   what builds and runs Tidemark: compilers, libraries, Node for the page
#   test    and what tries it: sanitizer runtimes, cmocka, wasi-libc, a browser
#   lint    and what reads it: clang-tidy, cppcheck, shellcheck
#
# With nothing missing it prints nothing and takes a fraction of a second. Debian's
# packages come by apt, as root or through sudo; what npm brings stays in the project.
set -eu
cd "$(dirname "$0")/.." || exit
scope=${1:-build}
. scripts/env.sh

say() { printf 'bootstrap: %s\n' "$*"; }
die() {
  printf 'bootstrap: %s\n' "$*" >&2
  exit 1
}

# package, then what it is for. One without a use here is one to remove.
for_build='
gcc              compiles the program
libc6-dev        its headers
cmake            the build
ninja-build      runs the build
pkg-config       finds the libraries
clang-14         compiles the core to WebAssembly
llvm-14          makes one module of it
lld-14           links it
binaryen         writes it smaller
libsqlite3-dev   the embedded store
libssl-dev       hashes, TLS
libuv1-dev       the event loop
libhttp-parser-dev  reads HTTP
libcurl4-openssl-dev  asks DynamoDB
libhiredis-dev   speaks to Redis or Valkey
libjemalloc-dev  keeps the heap without holes
zlib1g-dev       checks the sums of its answers
zopfli           packs the page as small as gzip can be
ca-certificates  lets npm verify what it fetches
'
for_test='
libclang-rt-14-dev  sanitizers and libFuzzer
libclang-rt-14-dev-wasm32  runs the C tests as wasm
wasi-libc        their libc
libcmocka-dev    unit tests
libjansson-dev   the oracle beside our JSON reader
chromium         the browser tests
clang-format-14  the format check
spin             searches the models
git              checks the files themselves
openjdk-17-jre-headless  runs DynamoDB Local
redis-server     the doorbell between servers
zip              packs the function for AWS Lambda
unzip            looks into it
binutils         readelf: is the program hardened
'
for_lint='
clang-tidy-14    reads the C
cppcheck         reads it too
shellcheck       reads the scripts
'

case $scope in
  build) packages=$for_build ;;
  test) packages=$for_build$for_test ;;
  lint) packages=$for_build$for_test$for_lint ;;
  *) die "bootstrap.sh build|test|lint" ;;
esac

# ---- Debian's packages --------------------------------------------------------------

missing_of() { # names on stdin, those not installed on stdout
  local names
  names=$(cat)
  # shellcheck disable=SC2086
  { dpkg-query -W -f='${binary:Package} ${db:Status-Status}\n' $names 2>/dev/null || :; } |
    awk -v names="$names" '
      $2 == "installed" { sub(/:.*/, "", $1); there[$1] = 1 }
      END { n = split(names, all); for (i = 1; i <= n; i++) if (!there[all[i]]) print all[i] }'
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "not root and no sudo. As root: $*"
  fi
}

updated=
apt_install() {
  local apt=(env DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
  if [ -z "$updated" ]; then
    as_root "${apt[@]}" update >/dev/null ||
      say "apt-get update failed; trying with the lists that are here"
    updated=yes
  fi
  as_root "${apt[@]}" install -y --no-install-recommends "$@" \
    >build/bootstrap.log 2>&1 || {
    tail -n 20 build/bootstrap.log >&2
    die "apt-get could not install: $*"
  }
}

mkdir -p build
if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  missing=$(printf '%s' "$packages" | awk 'NF { print $1 }' | missing_of)
  if [ -n "$missing" ]; then
    say "installing with apt-get:"
    printf '%s' "$packages" | awk -v missing="$missing" '
      BEGIN { n = split(missing, m); for (i = 1; i <= n; i++) want[m[i]] = 1 }
      want[$1] { name = $1; $1 = ""; printf "  %-26s%s\n", name, $0 }'
    # shellcheck disable=SC2086
    apt_install $missing
    rm -f build/*/build.ninja # configured with what was there before
  fi
else # not Debian: nothing can be installed for the person, but much can be there
  for tool in gcc cmake ninja pkg-config clang-14 wasm-ld-14 node npm; do
    command -v "$tool" >/dev/null ||
      die "no apt-get here and no $tool. Needed, by Debian's names:$(
        printf '%s' "$packages" | awk 'NF { printf " %s", $1 }')"
  done
fi

# ---- Node ---------------------------------------------------------------------------

# The page's build wants Node ^20.19 or >= 22.12.
node_fits() {
  command -v node >/dev/null || return 1
  local version
  version=$(node --version 2>/dev/null) || return 1
  printf '%s\n' "$version" | awk -F'[v.]' '
    { exit !(($2 == 20 && $3 >= 19) || ($2 == 22 && $3 >= 12) || $2 > 22) }'
}

if [ "$scope" != build ] || [ -f package-lock.json ]; then
  if ! command -v npm >/dev/null; then
    say "installing with apt-get: nodejs npm  (npm brings the page's libraries)"
    apt_install nodejs npm
  fi
  if ! node_fits; then
    case $(uname -m) in
      x86_64) arch=x64 ;;
      aarch64) arch=arm64 ;;
      *) die "no Node for $(uname -m): install one >= 22.12 yourself" ;;
    esac
    say "installing with npm: Node 22 in build/node  (the page's build wants one newer than $(
      node --version 2>/dev/null || echo none))"
    mkdir -p build/node
    printf '{"private": true}\n' >build/node/package.json
    npm install --prefix build/node --ignore-scripts --silent "node-linux-$arch@22"
    . scripts/env.sh
    hash -r
    node_fits || die "that Node does not run here"
  fi
fi

# ---- what npm brings ----------------------------------------------------------------

if [ -f package-lock.json ]; then
  key=$(cat package-lock.json package.json {.,docs,examples,tests}/*/package.json \
    2>/dev/null | sha256sum | cut -c1-64)
  stamp=node_modules/.tidemark
  if [ ! -f node_modules/.package-lock.json ] || [ "$(cat $stamp 2>/dev/null)" != "$key" ]; then
    # Somebody who just ran `npm install` has the right tree already.
    if ! node scripts/npm-tree.mjs; then
      say "npm ci: the libraries of the page and its tests, as package-lock.json pins them"
      npm ci --ignore-scripts --silent
    fi
    mkdir -p node_modules
    printf '%s\n' "$key" >$stamp
  fi
fi
