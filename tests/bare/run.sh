#!/usr/bin/env bash
# run.sh DIRECTORY [run|test]... - Tidemark on a bare Debian 12, in a root of its own made
# with debootstrap (minbase: no make, no compiler, no Node). Needs root and debootstrap.
#
#   run    `make run` twice, and the seconds until the page answers
#   test   `make test`, and its seconds
#
# The root takes this machine's way to the packages (apt's sources, certificates, npm's
# settings) and a clone of what is committed, nothing else. DIRECTORY is made anew, 4 GB.
set -eu
directory=${1:?a directory to make the root in}
shift
[ $# -gt 0 ] || set -- run test
source=$(cd "$(dirname "$0")/../.." && pwd)
root=$directory/root
port=${PORT:-8480}

[ "$(id -u)" = 0 ] || { echo 'run.sh: needs root, for chroot' >&2; exit 1; }
command -v debootstrap >/dev/null || { echo 'run.sh: needs debootstrap' >&2; exit 1; }
[ ! -e "$directory" ] || { echo "run.sh: $directory exists; remove it first" >&2; exit 1; }

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f s\n", b - a }'; }

# ---- the root -----------------------------------------------------------------------

mounted=()
daemon=
leave() {
  [ -z "$daemon" ] || kill -- "-$daemon" 2>/dev/null || :
  local i
  for ((i = ${#mounted[@]} - 1; i >= 0; i--)); do umount -R "${mounted[i]}"; done
}
trap leave EXIT
bind() { # by slave: unmounting here must not unmount there
  mount --rbind "$1" "$root$1" && mount --make-rslave "$root$1" && mounted+=("$root$1")
}

mkdir -p "$directory"
mirror=$(awk '/^URIs:/ { print $2; exit } /^deb / { for (i = 2; i <= NF; i++)
  if ($i ~ /:\/\//) { print $i; exit } }' /etc/apt/sources.list.d/*.sources \
  /etc/apt/sources.list 2>/dev/null)
start=$(now)
debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$directory/debootstrap.log"
echo "debootstrap: $(since "$start")"

rm -rf "$root/etc/apt"
cp -a /etc/apt "$root/etc/apt"
rm -f "$root"/etc/apt/apt.conf.d/{20packagekit,50appstream,70debconf} # name absent programs
cp /etc/resolv.conf "$root/etc/"
for extra in /usr/local/share/ca-certificates /etc/npmrc /usr/etc/npmrc; do
  [ -e "$extra" ] || continue
  mkdir -p "$root${extra%/*}"
  cp -aT "$extra" "$root$extra"
done
git clone -q --no-hardlinks "$source" "$root/tidemark"
bind /proc
bind /dev

inside() { # with nothing of this shell's environment but the certificates' place
  chroot "$root" /usr/bin/env -i HOME=/tmp LC_ALL=C.UTF-8 TERM=dumb \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    sh -c "cd /tidemark && $1"
}

# What a person types before the first of our commands.
start=$(now)
inside 'apt-get -q update && apt-get -q install -y --no-install-recommends make' \
  >"$directory/make.log" 2>&1
echo "apt-get install make: $(since "$start")"

# ---- the two commands ---------------------------------------------------------------

page() { # LABEL - starts it, waits for the page, stops it
  local start status
  start=$(now)
  export -f inside
  root=$root setsid bash -c "inside 'exec make run PORT=$port'" >"$directory/run-$1.log" 2>&1 &
  daemon=$!
  until status=$(curl -s -o "$directory/page-$1.html" -w '%{http_code}' \
    "http://127.0.0.1:$port/") && [ "$status" = 200 ]; do
    kill -0 "$daemon" 2>/dev/null || {
      tail -n 40 "$directory/run-$1.log" >&2
      echo "run.sh: make run ended by itself" >&2
      exit 1
    }
    sleep 0.05
  done
  echo "make run, the $1 time: the page answers after $(since "$start")"
  kill -- "-$daemon" 2>/dev/null || :
  wait "$daemon" 2>/dev/null || :
  daemon=
}

for what; do
  case $what in
    run)
      page first
      page second
      ;;
    test)
      start=$(now)
      status=0
      inside 'make test' >"$directory/test.log" 2>&1 </dev/null || status=$?
      tail -n 40 "$directory/test.log"
      echo "make test: exit $status after $(since "$start")"
      [ "$status" = 0 ] || exit 1
      ;;
  esac
done
