// bill.mjs [DAYS|hour] - what a user's day costs on DynamoDB, in five ways (bench/bill.c has
// the day), beside the seed's own figures. `make bench-bill` runs it, beside a DynamoDB
// Local. Ends with 1 if a promise of docs/COST.md is not kept. `hour`: one hour of the day,
// every request asserted; prints TAP.
import { spawnSync } from 'node:child_process';

const [span = '7'] = process.argv.slice(2);
const build = 'build/release';
const names = ['array', 'queue', 'push', 'reconnect', 'alone'];
const words = {
  array: 'full array polled every 5 s',
  queue: 'operation queue polled every 10 s',
  push: 'push',
  reconnect: 'push, reconnected every 10 minutes',
  alone: 'push, without Redis',
};
// The seed's own count of a day; of them, reads.
const seeds = {
  array: { requests: '17,330', reads: 17280, writes: 50 },
  queue: { requests: '8,670', reads: 8640, writes: 30 },
  push: { requests: '50-80' },
};

const run = (program, ...args) => {
  const ended = spawnSync(`${build}/${program}`, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (ended.status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${ended.status}`);
  return ended.stdout;
};

const results = run('bench_bill', span, ...names)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

let failed = 0;
const check = (name, good, seen) => {
  if (!good) console.log(`# ${JSON.stringify(seen)}`);
  console.log(`${good ? 'ok' : 'not ok'} - bill: ${name}`);
  failed += !good;
};

/** The requests of a result, as "append 5 load 1". */
const told = ({ kinds }) =>
  Object.entries(kinds)
    .filter(([, { requests }]) => requests > 0)
    .map(([kind, { requests }]) => `${kind} ${requests}`)
    .join(' ');

if (span === 'hour') {
  for (const one of results) {
    const array = one.way === 'array';
    check(`${one.way}: eight edits in five moments`, one.edits === 8 && one.moments === 5, one);
    check(
      `${one.way}: ${array ? 'eight' : 'six'} saves are ${array ? 'seven' : 'five'} writes of a unit`,
      one.saves === (array ? 8 : 6) && one.kinds.append.requests === (array ? 7 : 5) &&
        one.kinds.append.writeUnits === one.kinds.append.requests && one.causes.saves === one.kinds.append.requests,
      one,
    );
    check(`${one.way}: opening is one GetItem and one Query`, one.causes.opening === 2 && one.kinds.load.requests === 1, one);
    check(`${one.way}: polls, heartbeats and reconnects cost nothing`, one.causes.idle === 0, one);
    if (one.way === 'alone') {
      check('alone: only checks come besides', told(one).startsWith(`append 5 read ${1 + one.causes.background} load 1`) && one.causes.background > 100, one);
    } else {
      check(`${one.way}: and nothing else is asked`, one.causes.background === 0 && told(one) === `append ${array ? 7 : 5} read 1 load 1`, told(one));
    }
  }
  check('a way for each', results.length === names.length, results.length);
  process.exit(failed ? 1 : 0);
}

// ---- a table of days --------------------------------------------------------------------

const prices = Object.fromEntries(
  run('tidemark', 'bill', '--show-prices')
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => line.split(/\s+/)),
);
const dollars = (writes, reads) =>
  (writes * prices['write-units-million'] + reads * prices['read-units-million']) / 1e6;
const sum = (kinds, name) => Object.values(kinds).reduce((all, kind) => all + (kind[name] ?? 0), 0);
const fixed = (number, digits) => number.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

const rows = results.map((one) => {
  const per = (number) => number / one.days;
  const writes = per(sum(one.kinds, 'writeUnits'));
  const reads = per(sum(one.kinds, 'readUnits'));
  return {
    one,
    requests: per(sum(one.kinds, 'requests')),
    writes,
    reads,
    cost: dollars(writes, reads),
    cell: {
      'a day of one user': words[one.way],
      "the seed's requests": seeds[one.way]?.requests ?? '',
      requests: fixed(per(sum(one.kinds, 'requests')), 1),
      appends: fixed(per(one.kinds.append.requests), 1),
      opening: fixed(per(one.causes.opening), 1),
      'after rest': fixed(per(one.kinds.tail.requests), 1),
      snapshots: fixed(per(one.kinds.save.requests), 1),
      checks: fixed(per(one.way === 'alone' ? one.causes.background - one.kinds.save.requests : 0), 1),
      idle: fixed(per(one.causes.idle), 0),
      'write units': fixed(writes, 1),
      'read units': fixed(reads, 1),
      'dollars': fixed(dollars(writes, reads), 7),
      "the seed's": seeds[one.way]?.reads ? fixed(dollars(seeds[one.way].writes, seeds[one.way].reads), 7) : '',
    },
  };
});

const heads = Object.keys(rows[0].cell);
const widths = heads.map((head) => Math.max(head.length, ...rows.map(({ cell }) => cell[head].length)));
const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
console.log(`${results[0].days} days, ${fixed(results[0].edits / results[0].days, 0)} edits each; per user-day:\n`);
console.log(line(heads));
console.log(`|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
for (const { cell } of rows) console.log(line(heads.map((head) => cell[head])));
console.log(`
Dollars: on demand, ${prices.region}, as they stood in 2026 (tidemark bill --show-prices); the
seed's with one unit for each of its requests, which is the least they can be.
`);

for (const { one, requests } of rows) {
  if (one.way === 'push' || one.way === 'reconnect') {
    check(`${words[one.way]}: ${fixed(requests, 1)} requests per user-day, at most 40`, requests <= 40, one);
  }
  check(`${words[one.way]}: nothing for idle polls, heartbeats and reconnects`, one.causes.idle === 0, one);
  const joined = one.way === 'array' ? 40 : 30;
  check(
    `${words[one.way]}: ${fixed(one.saves / one.days, 0)} saves a day, joined, are ${joined} requests`,
    one.kinds.append.requests === joined * one.days,
    one,
  );
}
process.exitCode = failed ? 1 : 0;
