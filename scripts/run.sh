#!/usr/bin/env bash
# run.sh WHO PORT DATA - starts the daemon for one person on this machine.
set -eu
cd "$(dirname "$0")/.." || exit
if [ ! -x build/release/tidemark ]; then
  echo 'run.sh: build/release/tidemark is not there' >&2
  exit 1
fi
echo "http://127.0.0.1:$2/  (Ctrl-C stops it; the data is in $3/)"
exec build/release/tidemark serve --user "$1" --listen "127.0.0.1:$2" --data "$3"
