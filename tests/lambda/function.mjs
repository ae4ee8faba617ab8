// function.mjs BOOTSTRAP TIDEMARK - the function beside stand-ins for what AWS has around it and
// Amazon's own DynamoDB Local (TM_DYNAMODB): events one by one, hostile ones, then the
// package's engines over both APIs while instances are killed. Prints TAP.
import { spawnSync } from 'node:child_process';
import { createServer, request as ask_http } from 'node:http';
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { openList } from 'tidemark';
import { overGateway } from 'tidemark/gateway';
import { Fleet, Gateway, Instance, KEYS, REGION } from './aws.mjs';

const [bootstrap, tidemark] = process.argv.slice(2);
const LIST = '/v1/lists/selected-images';
let failed = 0;
const check = (name, good, seen) => {
  if (!good) console.log(`# ${JSON.stringify(seen)?.slice(0, 2000)}`);
  console.log(`${good ? 'ok' : 'not ok'} - ${name}`);
  failed += !good;
};
let seed = 20261123;
const random = () => ((seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31);
// Asks until it is so, or a minute is over: what is waited for happens elsewhere.
async function until(ask, good = (seen) => seen) {
  const end = Date.now() + 60000; // a frame without an answer is given up after 30 s
  for (;;) {
    const seen = await ask();
    if (good(seen) || Date.now() > end) return seen;
    await new Promise((next) => setImmediate(next));
  }
}

// Between the function and DynamoDB: every request is counted by what it asks for.
const asked = [];
const counter = createServer((incoming, answer) => {
  asked.push(incoming.headers['x-amz-target']?.split('.')[1]);
  const to = new URL(process.env.TM_DYNAMODB);
  const onward = ask_http(
    { host: to.hostname, port: to.port, method: incoming.method, path: incoming.url, agent: false, headers: { ...incoming.headers, connection: 'close' } },
    (got) => {
      const { connection, ...headers } = got.headers; // of that connection, made for this request alone
      answer.writeHead(got.statusCode, headers);
      got.pipe(answer);
    },
  );
  onward.on('error', () => answer.destroy());
  incoming.pipe(onward);
});
await new Promise((done) => counter.listen(0, '127.0.0.1', done));
const counted = () => {
  const kinds = {};
  for (const kind of asked.splice(0).sort()) kinds[kind] = (kinds[kind] ?? 0) + 1;
  return Object.entries(kinds).map(([kind, count]) => `${count} ${kind}`).join(', ') || 'none';
};

const base = {
  PATH: process.env.PATH,
  AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
  AWS_SESSION_TOKEN: KEYS.sessionToken,
  AWS_REGION: REGION,
  AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${counter.address().port}`,
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
  TIDEMARK_PREFIX: 'lambda-',
  TIDEMARK_ORIGINS: 'https://app.example, https://other.example',
};

// ---- without its surroundings -----------------------------------------------------------

let seen = spawnSync(bootstrap, ['--help'], { encoding: 'utf8', env: base });
check('--help names its settings', seen.status === 0 && /TIDEMARK_CONNECTIONS/.test(seen.stdout), seen);
seen = spawnSync(bootstrap, [], { encoding: 'utf8', env: base });
check('without a Runtime API it says what it is', seen.status === 2 && /started by Lambda/.test(seen.stderr), seen);

const gateway = new Gateway();
await gateway.open(undefined);
const env = { ...base, TIDEMARK_CONNECTIONS: gateway.endpoint };

let one = await Instance.start(bootstrap, { ...env, TIDEMARK_PREFIX: 'no/prefix' });
seen = await one.ended;
check('a start that fails is told to Lambda', seen.code === 1 && one.initError?.type === 'Tidemark.Start' && /letters/.test(one.initError.body.errorMessage), one);

const op = (n, more = {}) => ({
  id: `op-${n}`, type: 'ADD', instanceId: `i-${n}`, imageId: 'img-7', timestamp: 1790000000000 + n, browserId: 'b-1', version: n, ...more,
});
const json = { 'content-type': 'application/json' };
const saving = (user, operations, more = {}) =>
  gateway.httpEvent('POST', `${LIST}/operations`, { user, headers: json, body: JSON.stringify({ user, operations, ...more }) });

one = await Instance.start(bootstrap, env);
seen = await one.invoke(gateway.httpEvent('GET', '/readyz'));
check('without tables /readyz is red and says what to do', seen.statusCode === 503 && /tables create/.test(seen.body), seen);
for (let i = 0; i < 2; i++) seen = await one.invoke(saving('ann', [op(1)])).catch(String);
check('saves get 503 with retry-after', seen.statusCode === 503 && Number(seen.headers['retry-after']) > 0, seen);
seen = await one.ended;
check('and an instance that fails again and again ends, for a fresh one', seen.code === 1, one.log);

seen = spawnSync(tidemark, ['tables', 'create', '--connections', '--dynamodb-endpoint', process.env.TM_DYNAMODB, '--dynamodb-prefix', 'lambda-'], { encoding: 'utf8', env: base });
check('tidemark tables create --connections makes the three', seen.status === 0, seen);

// ---- events, one by one -------------------------------------------------------------------

one = await Instance.start(bootstrap, env);
gateway.fleet = one;
const ask = (method, target, more) => one.invoke(gateway.httpEvent(method, target, more));
const code = (answer) => `${answer.statusCode} ${answer.body ? JSON.parse(answer.body).code : ''}`;

seen = [await ask('GET', '/healthz'), await ask('GET', '/readyz')];
check('healthz and readyz are green, to anybody', seen.every(({ statusCode, body }) => statusCode === 200 && body === '{"status":"ok"}'), seen);
seen = await one.invoke(saving('ann', [op(1), op(2)]));
let body = JSON.parse(seen.body);
check('a save is accepted', seen.statusCode === 200 && body.head === 2 && body.acks.every(({ status }) => status === 'ok'), seen);
check('no answer is kept by anybody', seen.headers['cache-control'] === 'no-store' && seen.headers['x-content-type-options'] === 'nosniff', seen);
seen = await one.invoke({ ...saving('ann', [op(3)]), body: Buffer.from(JSON.stringify({ user: 'ann', operations: [op(3)] })).toString('base64'), isBase64Encoded: true });
check('in base64 too', JSON.parse(seen.body).head === 3, seen);
seen = await ask('GET', LIST, { user: 'ann' });
check('the list as a person reads it', JSON.parse(seen.body).selectedImages?.length === 3, seen);
seen = await ask('HEAD', LIST, { user: 'ann' });
check('HEAD has no body', seen.statusCode === 200 && seen.body === '', seen);
const began = Date.now();
seen = JSON.parse((await ask('GET', `${LIST}/operations?since=3&mark=&wait=25`, { user: 'ann' })).body);
check('a long poll is answered at once, and says so', seen.waits === false && seen.snapshot && Date.now() - began < 3000, seen);
seen = await one.invoke({ ...gateway.httpEvent('GET', `/prod${LIST}`, { user: 'ann' }), requestContext: { ...gateway.httpEvent('GET', '/', { user: 'ann' }).requestContext, stage: 'prod' } });
check('the stage is not part of the path', seen.statusCode === 200, seen);

const refusals = [
  ['nobody', '401 authorization', gateway.httpEvent('GET', LIST)],
  ['a user in the query', '409 user', gateway.httpEvent('GET', `${LIST}/operations?user=bob`, { user: 'ann' })],
  ['a user in the body', '409 user', { ...saving('ann', []), body: '{"user":"bob","operations":[]}' }],
  ['a token in the URL', '401 token-in-url', gateway.httpEvent('GET', `${LIST}?access_token=x`, { user: 'ann' })],
  ['a foreign page', '403 origin', gateway.httpEvent('GET', LIST, { user: 'ann', headers: { origin: 'https://evil.example' } })],
  ['text/plain', '415 content-type', { ...saving('ann', []), headers: { 'content-type': 'text/plain' } }],
  ['a compressed body', '415 content-encoding', { ...saving('ann', []), headers: { ...json, 'content-encoding': 'gzip' } }],
  ['a body of 2 MB', '413 too-large', { ...saving('ann', []), body: `"${'x'.repeat(2e6)}"` }],
  ['a body that is no JSON', '400 malformed', { ...saving('ann', []), body: '{"user":' }],
  ['a body nested deep', '400 malformed', { ...saving('ann', []), body: '['.repeat(5000) }],
  ['no body', '400 malformed', { ...saving('ann', []), body: undefined }],
  ['no such path', '404 not-found', gateway.httpEvent('GET', '/v1/photos', { user: 'ann' })],
  ['metrics, which are off', '404 not-found', gateway.httpEvent('GET', '/metrics', { user: 'ann' })],
  ['no such list', '404 list', gateway.httpEvent('GET', '/v1/lists/No_List', { user: 'ann' })],
  ['DELETE', '405 method', gateway.httpEvent('DELETE', LIST, { user: 'ann' })],
  ['a sub of 5 MB', '401 authorization', gateway.httpEvent('GET', LIST, { user: 'u'.repeat(5e6) })],
  ['a sub with a control', '401 authorization', gateway.httpEvent('GET', LIST, { user: 'a\nb' })],
];
for (const [name, want, event] of refusals) {
  seen = await one.invoke(event).catch(String);
  check(`refused: ${name}`, code(seen) === want, seen);
}
const hostile = [
  '', '{', '[]', 'null', '1e400', '{}', '['.repeat(100000), `{"a":${'{"a":'.repeat(5000)}`, '{"version":"2.0","version":"2.0"}',
  '{"version":"2.0","rawPath":7,"requestContext":{"http":{"method":[]}}}', '{"requestContext":null,"headers":[1]}',
  '{"requestContext":{"eventType":"MESSAGE"}}', '{"requestContext":{"eventType":"MESSAGE","connectionId":"../../x"}}',
  '{"requestContext":{"eventType":"OTHER","connectionId":"abc"}}', `{"body":"${'x'.repeat(5e6)}"`, '"\\ud800"',
  '{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"POST"}},"body":"=a==","isBase64Encoded":true}',
];
let said = 0;
for (const event of hostile) {
  said += await one.invoke(event).then(() => 0, (error) => error.said?.errorType === 'Tidemark.Event' && error.said.errorMessage !== '');
}
check(`${hostile.length} events that nobody should send are errors with a reason`, said === hostile.length, said);
check('and the same process lives', !one.gone && (await ask('GET', '/healthz')).statusCode === 200, one.log);

const large = 'd'.repeat(4000);
for (let n = 4; n < 1404; n += 100) {
  const ops = Array.from({ length: 100 }, (_, i) => op(n + i, { data: { description: large } }));
  for (const half of [ops.slice(0, 50), ops.slice(50)]) await one.invoke(saving('ann', half));
}
seen = await ask('GET', `${LIST}/operations?since=0&mark=none`, { user: 'ann', headers: { 'accept-encoding': 'br, gzip' } });
check('a snapshot of 6 MB is compressed where that is taken', seen.headers['content-encoding'] === 'gzip' && JSON.parse(gunzipSync(Buffer.from(seen.body, 'base64'))).snapshot.live === 1403, seen.headers);
seen = await ask('GET', `${LIST}/operations?since=0&mark=none`, { user: 'ann' });
check('and refused with a reason where it is not', code(seen) === '500 answer-too-large', seen.statusCode);

// ---- WebSocket routes ----------------------------------------------------------------------

const opening = (user, headers) => one.invoke(gateway.socketEvent('CONNECT', 'abc=', user, { headers: { 'Sec-WebSocket-Protocol': 'tidemark.v1, bearer.x', Origin: 'https://app.example', ...headers } }));
seen = await opening('eve');
check('$connect answers with the subprotocol', seen.statusCode === 200 && seen.headers['Sec-WebSocket-Protocol'] === 'tidemark.v1', seen);
seen = [await opening(undefined), await opening('eve', { Origin: 'https://evil.example' }), await opening('eve', { Origin: undefined }), await opening('eve', { 'Sec-WebSocket-Protocol': 'chat' })];
check('and refuses nobody, a foreign page, no page, another protocol', seen.map(({ statusCode }) => statusCode).join() === '401,403,403,400', seen);

const [a, b] = [gateway.raw('eve'), gateway.raw('eve')];
const list = 'selected-images';
await a.say({ type: 'SUBSCRIBE', list, user: 'eve', since: 0, mark: '' });
await b.say({ type: 'SUBSCRIBE', list, user: 'eve', since: 0, mark: '' });
seen = [a.take(), b.take()];
check('SUBSCRIBED says the frame\'s limit', seen.every(([{ type, frameMax, head }]) => type === 'SUBSCRIBED' && frameMax === 32768 && head === 0), seen);
await a.say({ type: 'SAVE', list, user: 'eve', ref: 1, operations: [op(1)] });
await until(() => b.heard.length > 0);
seen = [a.take(), b.take()];
check('a save is SAVED to who sent it and pushed to the other alone', seen[0].length === 1 && seen[0][0].type === 'SAVED' && seen[0][0].ref === 1 && seen[0][0].version === 1 && seen[1].length === 1 && seen[1][0].type === 'OPERATIONS' && seen[1][0].from === 1, seen);
await a.say({ type: 'SAVE', list, user: 'eve', ref: 2, operations: [op(1)] });
await until(() => b.heard.length > 0);
seen = [a.take(), b.take()];
check('a save that was known already makes the others ask', seen[0][0].acks[0].status === 'duplicate' && seen[1][0].type === 'BEHIND', seen);
await one.invoke(saving('eve', [op(2)]));
await until(() => a.heard.length > 0 && b.heard.length > 0);
seen = [a.take(), b.take()];
check('what came over HTTP is pushed to all', seen.every(([{ type, version }]) => type === 'OPERATIONS' && version === 2), seen);
await b.say({ type: 'SEEN', list, version: 2 });
await a.say({ type: 'SEEN', list, version: 1 });
seen = [b.take(), a.take()];
check('SEEN: the others\' cursor, and what a lost push held back', seen[0][0].version === 0 && seen[0][1]?.type === 'DIGEST' && seen[1][0].version === 2 && seen[1][1]?.type === 'OPERATIONS' && seen[1][1].version === 2, seen);
const calls = gateway.calls.length;
await b.say({ type: 'SEEN', list, version: 2 });
check('the same heartbeat again is answered from memory', b.take()[0].type === 'SEEN' && gateway.calls.length === calls + 1);
for (const [name, message, want] of [
  ['no JSON', '{', '400 malformed'], ['deep', '['.repeat(10000), '400 malformed'], ['another type', { type: 'X', list, version: 1 }, '400 type'],
  ['another user', { type: 'SAVE', list, user: 'bob', operations: [] }, '409 user'], ['no list', { type: 'SUBSCRIBE', user: 'eve' }, '400 bad-request'],
  ['a foreign list', { type: 'SUBSCRIBE', list: 'A B', user: 'eve' }, '404 list'],
]) {
  await a.say(message);
  const [error] = a.take();
  check(`a message that is wrong: ${name}`, error?.type === 'ERROR' && `${error.status} ${error.code}` === want, error);
}
await a.say({ type: 'SAVE', list, user: 'eve', ref: 9, acked: 99, operations: [] });
seen = a.take();
check('acks beyond the head: BEHIND', seen[0].type === 'SAVED' && seen[1]?.type === 'BEHIND', seen);
await one.invoke(saving('eve', Array.from({ length: 12 }, (_, i) => op(3 + i, { data: { description: large } }))));
await until(() => b.heard.length > 0);
check('a push larger than a frame is BEHIND', b.take()[0].type === 'BEHIND', b.heard);
await b.say({ type: 'SUBSCRIBE', list, user: 'eve', since: 2 });
seen = b.take();
check('and what it asks for then is to be had over HTTP', seen.length === 1 && seen[0].status === 413 && seen[0].code === 'frame-too-large', seen);

// docs/LAMBDA.md, "what happens to an event": after each, one more has been answered, so all is over.
const [c] = [gateway.raw('joe')];
const cost = async (event) => {
  await ask('GET', '/healthz');
  asked.length = 0;
  await event();
  await ask('GET', '/healthz');
  c.take();
  return counted();
};
for (const [name, want, event] of [
  ['a cold SUBSCRIBE', '1 GetItem, 1 PutItem, 1 Query', () => c.say({ type: 'SUBSCRIBE', list, user: 'joe', since: 0 })],
  ['SUBSCRIBE', '1 PutItem, 1 Query', () => c.say({ type: 'SUBSCRIBE', list, user: 'joe', since: 0 })],
  ['SAVE', '1 PutItem, 1 Query', () => c.say({ type: 'SAVE', list, user: 'joe', ref: 1, operations: [op(1)] })],
  ['POST', '1 PutItem, 1 Query', () => one.invoke(saving('joe', [op(2)]))],
  ['GET', '1 Query', () => ask('GET', `${LIST}/operations?since=2`, { user: 'joe' })],
  ['SEEN after a change', '1 PutItem, 2 Query', () => c.say({ type: 'SEEN', list, version: 2 })],
  ['SEEN again', 'none', () => c.say({ type: 'SEEN', list, version: 2 })],
  ['$connect', 'none', () => opening('joe')],
  ['$disconnect', '1 DeleteItem, 1 Query', () => one.invoke(gateway.socketEvent('DISCONNECT', c.id, 'joe'))],
]) {
  seen = await cost(event);
  check(`${name} asks DynamoDB for: ${want}`, seen === want, seen);
}

a.take();
let fails = 2;
gateway.fail = (id) => (id === a.id && fails-- > 0 ? (fails ? 429 : 500) : undefined);
await one.invoke(saving('eve', [op(15)]));
await until(() => a.heard.length > 0);
check('429 and 500 of the gateway are tried again', a.take()[0]?.type === 'OPERATIONS' && fails < 0, fails);
gateway.fail = () => undefined;
gateway.connections.delete(a.id);
await one.invoke(saving('eve', [op(16)]));
await until(() => gateway.calls.some(({ id, status }) => id === a.id && status === 410));
await one.invoke(saving('eve', [op(17)]));
await until(() => b.heard.some(({ version }) => version === 17));
check('one that is gone (410) is told once and never again', gateway.calls.filter(({ id, status }) => id === a.id && status === 410).length === 1);
b.take();
await b.say({ type: 'SEEN', list, version: 17 }, { end: Math.floor(Date.now() / 1000) - 1 });
seen = b.take();
check('a token that has ended: 401, and closed', seen[0].status === 401 && seen[1]?.type === 'closed', seen);
await one.invoke(gateway.socketEvent('DISCONNECT', b.id, 'eve'));
const before = gateway.calls.length;
await one.invoke(saving('eve', [op(18)]));
await ask('GET', '/healthz');
check('after $disconnect nobody is told', gateway.calls.length === before);

// Stopped as Lambda stops a process, while another appends.
const other = await Instance.start(bootstrap, env);
one.child.kill('SIGSTOP');
await other.invoke(saving('eve', [op(19)]));
one.child.kill('SIGCONT');
seen = JSON.parse((await ask('GET', `${LIST}/operations?since=18`, { user: 'eve' })).body);
check('a process that was stopped asks before it answers', seen.version === 19 && seen.operations.length === 1, seen);
seen = JSON.parse((await one.invoke(saving('eve', [op(20)]))).body);
check('and appends behind what it has not seen', seen.head === 20, seen);
await one.kill();
await other.kill();

// ---- the package's engines ------------------------------------------------------------------

const fleet = (gateway.fleet = new Fleet(bootstrap, env, 3, random));
const core = await WebAssembly.compile(await readFile(new URL(import.meta.resolve('tidemark/core.wasm'))));
const open = async (user) => {
  const page = await openList({
    url: 'https://api.example', user, list, token: `token-${user}`, core,
    storage: { disk: async () => undefined },
    ...overGateway({ url: 'https://api.example', sockets: 'wss://ws.example/live', socket: gateway.socket, fetch: gateway.fetch }),
  });
  page.problems = [];
  page.onProblem((problem) => page.problems.push(problem));
  return page;
};
const shown = (page) => JSON.stringify(page.items.snapshot());
const live = (page) => page.status.snapshot().phase === 'live' && page.status.snapshot().connection === 'push';
const equal = (pages) => pages.every((page) => page.status.snapshot().pending === 0 && shown(page) === shown(pages[0]));
const logOf = async (user) => {
  const batches = [];
  for (let from = 1; ; ) {
    const answer = await gateway.fetch(`https://api.example${LIST}/log?from=${from}&limit=1000`, { headers: { authorization: `Bearer token-${user}` } });
    const page = await answer.json();
    batches.push(...page.batches);
    if (!page.more) return batches;
    from = page.batches.at(-1).last + 1;
  }
};

const pages = [await open('zoe'), await open('zoe')];
const [p, q] = pages;
await until(() => pages.every(live));
check('two browsers come to be live over API Gateway', pages.every(live), pages.map((page) => page.status.snapshot()));
const first = p.add('img-1', { description: 'north' }).id;
await until(() => q.item(first).snapshot()?.description === 'north');
check('what one writes the other shows, by a push', q.item(first).snapshot()?.description === 'north');
q.update(first, { description: 'south' });
await until(() => p.item(first).snapshot()?.description === 'south');
check('and back', p.item(first).snapshot()?.description === 'south');
for (let i = 0; i < 60; i++) p.add(`img-${i}`, { description: `${i} ${large}` });
await p.flush();
await until(() => equal(pages) && q.items.snapshot().length === 61);
check('240 KB in one go: by HTTP, and both have it', equal(pages) && q.items.snapshot().length === 61, [p.items.snapshot().length, q.items.snapshot().length, q.problems]);
check('nobody sent a frame that the gateway closes for', gateway.calls.every(({ status }) => status !== 413));
const late = await open('zoe');
pages.push(late);
await until(() => live(late) && equal(pages));
check('a browser that comes late takes its snapshot over HTTP', live(late) && equal(pages), late.status.snapshot());

// Whoever is killed was in the middle of an event.
let kills = 0;
const killing = (async () => {
  while (kills < 12) {
    const busy = fleet.instances.filter((one) => one.under && !one.gone);
    if (busy.length > 0 && random() < 0.2) {
      kills++;
      await busy[Math.floor(random() * busy.length)].kill();
    }
    await new Promise((next) => setTimeout(next, 3));
  }
})();
const made = [];
while (kills < 12) {
  const page = pages[Math.floor(random() * pages.length)];
  const items = page.items.snapshot();
  if (random() < 0.4) made.push(page.add(`late-${made.length}`).id);
  else page.update(items[Math.floor(random() * items.length)].id, { description: `${made.length} ${random()}` });
  if (random() < 0.05) gateway.connections.forEach((socket) => random() < 0.5 && socket.dropped?.(1001));
  await new Promise((next) => setTimeout(next, 15));
}
await killing;
await Promise.all(pages.map((page) => page.flush()));
await until(() => equal(pages));
const items = new Set(p.items.snapshot().map(({ id }) => id));
check(`${kills} instances killed in the middle of an event, ${fleet.starts} started: nothing lost, all equal`, equal(pages) && made.every((id) => items.has(id)), pages.map((page) => [page.items.snapshot().length, page.status.snapshot().pending]));
const log = await logOf('zoe');
const ids = log.flatMap(({ operations }) => operations.map(({ id }) => id));
let gapless = true;
log.reduce((last, batch) => ((gapless &&= batch.first === last + 1), batch.last), 0);
check(`no id twice in a log of ${ids.length}, and no seq missing`, gapless && new Set(ids).size === ids.length, ids.length);
check('the digests never differed', pages.every(({ problems }) => !problems.some(({ kind }) => kind === 'diverged' || kind === 'core')), pages.map(({ problems }) => problems));
check(`each of ${gateway.calls.length} calls of @connections was signed rightly`, gateway.badSignatures.length === 0 && gateway.calls.length > 50, gateway.badSignatures.slice(0, 2));
const errors = fleet.instances.flatMap(({ log }) => log.split('\n').filter((line) => /assertion|Sanitizer/.test(line)));
check('and no assertion was broken', errors.length === 0, errors);

await Promise.all(pages.map((page) => page.close()));
await fleet.stop();
gateway.close();
counter.close();
process.exit(failed ? 1 : 0);
