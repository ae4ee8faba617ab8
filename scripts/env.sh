# shellcheck shell=bash
# env.sh - sourced by the other scripts: the project's own Node first, if it has one
# (scripts/bootstrap.sh puts it there where the machine's is too old).
if [ -x "$PWD/build/node/node_modules/.bin/node" ]; then
  PATH=$PWD/build/node/node_modules/.bin:$PATH
  export PATH
fi
