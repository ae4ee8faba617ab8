// kit.mjs - the daemon and its clients, as the tests beside DynamoDB Local use them. The
// program is the first argument, DynamoDB is where TM_DYNAMODB says.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

export const [program] = process.argv.slice(2);
export const endpoint = process.env.TM_DYNAMODB;
export const env = {
  PATH: process.env.PATH,
  AWS_ACCESS_KEY_ID: 'tests',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_REGION: 'eu-central-1',
};

/** One test of the TAP; `seen` is shown where it fails. */
export function check(name, good, seen) {
  if (!good) console.log(`# ${JSON.stringify(seen)}`);
  console.log(`${good ? 'ok' : 'not ok'} - ${name}`);
  if (!good) process.exitCode = 1;
}

/** Asks until it is so, or a minute is over: what is waited for happens elsewhere. */
export async function until(ask, good) {
  const end = Date.now() + 60000;
  for (;;) {
    const seen = await ask();
    if (good(seen) || Date.now() > end) return seen;
    await new Promise((next) => setTimeout(next, 20));
  }
}

export const freePort = () =>
  new Promise((found) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });

/** A command, to its end. */
export function command(...words) {
  const run = spawnSync(program, words, { env, encoding: 'utf8' });
  return { code: run.status, out: run.stdout, err: run.stderr };
}

/** Words that name tables; those of `tables` and `serve` alike. */
export const at = (url, prefix) => ['--dynamodb-endpoint', url, '--dynamodb-prefix', prefix];

/** The daemon, once it listens; `log` is what it has said so far. */
export async function serve(url, prefix, environment = env) {
  const child = spawn(
    program,
    ['serve', '--user', 'ann', '--listen', '127.0.0.1:0', '--store', 'dynamodb', ...at(url, prefix)],
    { env: environment, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const daemon = { child, log: '', ended: new Promise((end) => child.on('exit', end)) };
  daemon.url = await new Promise((found, lost) => {
    child.stderr.setEncoding('utf8').on('data', (text) => {
      daemon.log += text;
      const listening = daemon.log.match(/"event":"listening","url":"([^"]+)\/"/);
      if (listening) found(listening[1]);
    });
    child.on('exit', () => lost(new Error(daemon.log)));
  });
  daemon.ready = async () => {
    const answer = await fetch(`${daemon.url}/readyz`);
    return { status: answer.status, text: await answer.text() };
  };
  daemon.save = async (n) => {
    const operation = {
      id: `op-${n}`, type: 'ADD', instanceId: `i-${n}`, imageId: 'img-7',
      data: { photoNumber: '12' }, timestamp: 1790000000000 + n, browserId: 'b-1', version: n,
    };
    const answer = await fetch(`${daemon.url}/v1/lists/selected-images/operations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'ann', operations: [operation] }),
    });
    return { status: answer.status, again: answer.headers.get('retry-after'), body: await answer.json() };
  };
  daemon.list = async () => (await fetch(`${daemon.url}/v1/lists/selected-images`)).json();
  daemon.stop = async (signal) => {
    child.kill(signal);
    return daemon.ended;
  };
  return daemon;
}

/**
 * A page of the npm package on that daemon, in this process: it polls, and keeps its queue in
 * memory. `refused` is how many of its saves were answered 503, `again` the Retry-After of
 * the last of them.
 */
export async function openPage(daemon) {
  const dist = new URL('../../web/dist/', import.meta.url);
  const { openList } = await import(new URL('index.js', dist));
  const page = { refused: 0, again: 0 };
  page.list = await openList({
    url: daemon.url,
    user: 'ann',
    list: 'selected-images',
    fields: ['photoNumber'],
    socket: null,
    core: new WebAssembly.Module(readFileSync(fileURLToPath(new URL('core.wasm', dist)))),
    fetch: async (...request) => {
      const answer = await fetch(...request);
      if (request[1]?.method === 'POST' && answer.status === 503) {
        page.again = Number(answer.headers.get('retry-after'));
        page.refused++;
      }
      return answer;
    },
  });
  page.pending = () => page.list.status.snapshot().pending;
  return page;
}
