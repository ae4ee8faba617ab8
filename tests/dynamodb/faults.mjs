// faults.mjs PROGRAM - the daemon while DynamoDB does not do its part: wrong keys, another
// schema, a wrong clock, nobody there at the start and later, a lost answer. Each time the
// log and /readyz say what to do, saves get 503 with Retry-After, a page keeps its queue, and
// all goes on without a restart once it is mended. Between the daemon and DynamoDB Local,
// which checks no signatures, stands a gate that does, with the words of the real service.
// Prints TAP.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, check, command, endpoint, env, freePort, openPage, program, serve, until } from './kit.mjs';

const refuse = (name, message) => ({ __type: `com.amazon.coral.service#${name}`, message });
const unrecognized = refuse('UnrecognizedClientException', 'The security token included in the request is invalid.');
const expired = refuse('ExpiredTokenException', 'The security token included in the request is expired');
const mismatch = refuse(
  'InvalidSignatureException',
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key ' +
    'and signing method. Consult the service documentation for details.',
);

/** What stands before DynamoDB Local: `judge` answers what to refuse a request with. */
class Gate {
  judge = () => undefined;
  aheadMs = 0; // its clock
  tellsTime = true;
  swallow = 0; // so many answers of PutItem are not passed on
  #server;
  #sockets = new Set();

  async open(port = 0) {
    this.#server = createServer((asked, answer) => this.#serve(asked, answer));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise((open) => this.#server.listen(port, '127.0.0.1', open));
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async close() {
    const closed = new Promise((end) => this.#server.close(end));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(asked, answer) {
    const parts = [];
    for await (const part of asked) parts.push(part);
    const why = this.judge(asked.headers);
    answer.sendDate = false;
    if (this.tellsTime) answer.setHeader('Date', new Date(Date.now() + this.aheadMs).toUTCString());
    if (why) {
      answer.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(why));
      return;
    }
    const onward = request(endpoint, { method: 'POST', headers: asked.headers }, (from) => {
      if (this.swallow > 0 && asked.headers['x-amz-target'].endsWith('.PutItem')) {
        this.swallow--;
        from.resume().on('end', () => asked.socket.destroy());
        return;
      }
      const { date, ...headers } = from.headers;
      answer.writeHead(from.statusCode, headers);
      from.pipe(answer);
    });
    onward.end(Buffer.concat(parts));
  }
}

const keyOf = (headers) => headers.authorization?.match(/Credential=([^/]+)\//)?.[1];

/** As DynamoDB says it: a signature is good for a quarter of an hour either way. */
const clockOf = (gate) => (headers) => {
  const basic = (ms) => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '');
  const now = Date.now() + gate.aheadMs;
  const date = headers['x-amz-date'];
  if (date >= basic(now - 900000) && date <= basic(now + 900000)) return undefined;
  return refuse(
    'InvalidSignatureException',
    date < basic(now)
      ? `Signature expired: ${date} is now earlier than ${basic(now - 900000)} (${basic(now)} - 15 min.)`
      : `Signature not yet current: ${date} is still later than ${basic(now + 900000)} (${basic(now)} + 15 min.)`,
  );
};

/** The daemon is red for this reason, and a page on it keeps what it writes. */
async function isDown(what, daemon, says) {
  let seen = await until(daemon.ready, ({ status, text }) => status === 503 && says.test(text));
  check(`${what}: /readyz is red and says what to do`, seen.status === 503 && says.test(seen.text), seen);
  check(`${what}: so does the log`, daemon.log.split('\n').some((line) => /"level":"ERROR","event":"store"/.test(line) && says.test(line)), daemon.log);
  const page = await openPage(daemon);
  page.list.add('img-1', { photoNumber: '1' });
  seen = await daemon.save(1);
  check(`${what}: a save is answered 503 with Retry-After`, seen.status === 503 && Number(seen.again) > 0, seen);
  await until(async () => page.refused, (count) => count > 0);
  check(`${what}: a page's edit was refused, shown, and stays in its queue`, page.refused > 0 && page.pending() === 1 && page.list.items.snapshot().length === 1, [page.refused, page.pending()]);
  return page;
}

/** It is mended: all goes on, nothing is lost, and nothing is there twice. */
async function isUp(what, daemon, page, items) {
  let seen = await until(daemon.ready, ({ status }) => status === 200);
  check(`${what}: /readyz is green again, without a restart`, seen.status === 200, seen);
  seen = await until(async () => page.pending(), (pending) => pending === 0);
  check(`${what}: the page's queue is empty`, seen === 0, seen);
  await page.list.close();
  seen = await daemon.save(1);
  check(`${what}: saves are accepted`, seen.status === 200 && ['ok', 'duplicate'].includes(seen.body.acks[0].status), seen);
  seen = await daemon.list();
  check(`${what}: the list has each edit once`, seen.version === items && seen.selectedImages.length === items, seen);
}

const create = (prefix) => {
  const made = command('tables', 'create', ...at(endpoint, prefix));
  check(`tables for ${prefix}`, made.code === 0, made);
};

// ---- keys -------------------------------------------------------------------------------

async function keysTried() {
  const home = mkdtempSync(join(tmpdir(), 'tidemark-faults-'));
  try {
    const keys = (id) => writeFileSync(join(home, 'credentials'), `[default]\naws_access_key_id = ${id}\naws_secret_access_key = secret\n`);
    const gate = await new Gate().open();
    gate.judge = (headers) => (keyOf(headers) === 'GOODKEY' ? undefined : unrecognized);
    create('keys-');
    const daemon = await serve(gate.url, 'keys-', {
      PATH: env.PATH,
      HOME: home,
      AWS_REGION: env.AWS_REGION,
      AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
      AWS_EC2_METADATA_DISABLED: 'true',
    });
    let seen = await daemon.ready();
    check('no keys: /readyz says where they are looked for', seen.status === 503 && /no credentials.*Set AWS_ACCESS_KEY_ID/.test(seen.text), seen);
    keys('WRONGKEY');
    const page = await isDown('wrong keys', daemon, /UnrecognizedClientException.*check AWS_ACCESS_KEY_ID/);
    gate.judge = (headers) => (keyOf(headers) === 'GOODKEY' ? undefined : mismatch);
    seen = await until(daemon.ready, ({ text }) => /does not match/.test(text));
    check('a wrong secret is said, too', /InvalidSignatureException.*check AWS_ACCESS_KEY_ID/.test(seen.text), seen);
    keys('GOODKEY');
    await isUp('wrong keys', daemon, page, 2);
    gate.judge = (headers) => (keyOf(headers) === 'NEXTKEY' ? undefined : expired);
    keys('NEXTKEY');
    seen = await until(() => daemon.save(2), ({ status }) => status === 200);
    check('keys that expired are found anew in the file', seen.status === 200, seen);
    check('and the log has no key', !/GOODKEY|NEXTKEY|WRONGKEY|secret =/.test(daemon.log), daemon.log);
    await daemon.stop('SIGTERM');
    await gate.close();
  } finally {
    rmSync(home, { recursive: true });
  }
}

// ---- another schema -----------------------------------------------------------------------

async function schemaTried() {
  const ask = async (action, body) =>
    (
      await fetch(endpoint, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-amz-json-1.0',
          'x-amz-target': `DynamoDB_20120810.${action}`,
          authorization: 'AWS4-HMAC-SHA256 Credential=tests/20261123/eu-central-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
        },
        body: JSON.stringify(body),
      })
    ).status;
  create('schema-');
  await ask('DeleteTable', { TableName: 'schema-operations' });
  const made = await ask('CreateTable', {
    TableName: 'schema-operations',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'user_id', AttributeType: 'S' }, { AttributeName: 'operation_id', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'user_id', KeyType: 'HASH' }, { AttributeName: 'operation_id', KeyType: 'RANGE' }],
  });
  check('a table with another key is made', made === 200, made);
  const looked = command('tables', 'check', ...at(endpoint, 'schema-'));
  check('another schema: tables check names it', looked.code === 1 && /schema-operations: wrong\n.*both strings/.test(looked.out), looked);
  const daemon = await serve(endpoint, 'schema-');
  const page = await isDown('another schema', daemon, /schema-operations.*user_id and operation_id, both strings|tidemark tables check/);
  await ask('DeleteTable', { TableName: 'schema-operations' });
  create('schema-');
  await isUp('another schema', daemon, page, 2);
  await daemon.stop('SIGTERM');
}

// ---- the clock ----------------------------------------------------------------------------

async function clockTried() {
  const gate = await new Gate().open();
  gate.aheadMs = 3600000;
  gate.tellsTime = false;
  gate.judge = clockOf(gate);
  create('clock-');
  const daemon = await serve(gate.url, 'clock-');
  const page = await isDown('a wrong clock', daemon, /Signature expired.*clock is wrong: set it by NTP/);
  gate.tellsTime = true; // as the real one always does
  await isUp('a wrong clock', daemon, page, 2);
  check("DynamoDB's clock is signed by from then on, and the log says how far off ours is", /clock is 3(600|599) s behind DynamoDB's/.test(daemon.log), daemon.log);
  gate.aheadMs = -3600000;
  const seen = await daemon.save(2);
  check('a clock that changes again is learned in the same save', seen.status === 200, seen);
  await daemon.stop('SIGTERM');
  await gate.close();
}

// ---- nobody there -------------------------------------------------------------------------

async function absenceTried() {
  const port = await freePort();
  const gate = new Gate();
  create('down-');
  const daemon = await serve(`http://127.0.0.1:${port}`, 'down-');
  let seen = await daemon.ready();
  check('with nobody there it starts, and is red', seen.status === 503 && /is the endpoint right, and up\?/.test(seen.text), seen);
  await gate.open(port);
  seen = await until(daemon.ready, ({ status }) => status === 200);
  check('it turns green when somebody comes', seen.status === 200, seen);
  gate.swallow = 2;
  seen = await daemon.save(1);
  check('a put whose answer was lost twice is stored once', seen.status === 200 && seen.body.head === 1 && gate.swallow === 0, seen);
  await gate.close();
  // A save finds out, after ten seconds of trying: that of a page.
  const page = await openPage(daemon);
  page.list.add('img-1', { photoNumber: '1' });
  await until(async () => page.refused, (count) => count > 0);
  check('nobody there any more: a save is answered 503 with Retry-After', page.refused > 0 && page.again > 0, [page.refused, page.again]);
  seen = await daemon.ready();
  check('nobody there any more: /readyz is red and says it', seen.status === 503 && /is the endpoint right, and up\?/.test(seen.text), seen);
  seen = await daemon.list();
  check('what is in memory is still read', seen.version === 1 && seen.selectedImages.length === 1, seen);
  check("nobody there any more: the page's edit stays in its queue", page.pending() === 1, page.pending());
  await gate.open(port);
  await isUp('somebody there again', daemon, page, 2);
  seen = command('verify', '--json', '--store', 'dynamodb', ...at(endpoint, 'down-'));
  check('and the log is whole', seen.code === 0 && JSON.parse(seen.out).verified === 1, seen);
  check('it ends well', (await daemon.stop('SIGTERM')) === 0, program);
  await gate.close();
}

// Most of the time is waiting: for the next look at the keys, for ten seconds of trying.
await Promise.all([keysTried(), schemaTried(), clockTried(), absenceTried()]);
