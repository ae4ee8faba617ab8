// aws.mjs - what AWS has around a function, written from its documentation: the Runtime API
// of one instance each, a fleet of instances, API Gateway's two kinds of events and its
// management API of connections, which checks every signature with AWS's own library.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';

export const REGION = 'eu-central-1';
export const KEYS = { accessKeyId: 'tests', secretAccessKey: 'secret', sessionToken: 'a/session+token==' };
const FRAME_MAX = 32768; // of API Gateway

const listening = (server) =>
  new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));
const whole = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
};

// ---- one instance ---------------------------------------------------------------------

let numbers = 0;

export class Instance {
  log = '';
  waiting = []; // invocations that nobody has taken
  under = undefined; // the one being served
  idle = undefined; // the request for the next one
  initError = undefined;
  served = 0;

  static async start(program, env) {
    const one = new Instance();
    one.server = createServer((request, response) => one.#serve(request, response));
    const port = await listening(one.server);
    one.child = spawn(program, [], {
      env: { ...env, AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}` },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    one.child.stderr.setEncoding('utf8').on('data', (text) => (one.log += text));
    one.ended = new Promise((end) =>
      one.child.on('exit', (code, signal) => {
        one.gone = { code, signal };
        one.server.closeAllConnections();
        one.server.close();
        for (const call of [one.under, ...one.waiting]) call?.failed(new Error('Runtime.ExitError'));
        one.waiting = [];
        end(one.gone);
      }),
    );
    return one;
  }

  get busy() {
    return this.under !== undefined || this.waiting.length > 0;
  }

  invoke(event, timeoutMs = 29000) {
    if (this.gone) return Promise.reject(new Error('Runtime.ExitError'));
    return new Promise((answered, failed) => {
      const text = typeof event === 'string' ? event : JSON.stringify(event);
      this.waiting.push({ id: `request-${++numbers}`, text, timeoutMs, answered, failed });
      this.#next();
    });
  }

  #next() {
    if (!this.idle || this.under || this.waiting.length === 0) return;
    const call = (this.under = this.waiting.shift());
    const response = this.idle;
    this.idle = undefined;
    response.writeHead(200, {
      'Lambda-Runtime-Aws-Request-Id': call.id,
      'Lambda-Runtime-Deadline-Ms': `${Date.now() + call.timeoutMs}`,
      'Lambda-Runtime-Invoked-Function-Arn': `arn:aws:lambda:${REGION}:123456789012:function:tidemark`,
      'Lambda-Runtime-Trace-Id': 'Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700',
      'content-type': 'application/json',
    });
    response.end(call.text);
    this.taken?.();
  }

  async #serve(request, response) {
    const root = '/2018-06-01/runtime/';
    const path = request.url.startsWith(root) ? request.url.slice(root.length) : '';
    if (request.method === 'GET' && path === 'invocation/next') {
      this.idle = response;
      this.#next();
      return;
    }
    const body = (await whole(request)).toString();
    const [, id, what] = /^invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
    if (path === 'init/error') {
      this.initError = { type: request.headers['lambda-runtime-function-error-type'], body: JSON.parse(body) };
    } else if (!id || this.under?.id !== id || body.length > 6 * 1024 * 1024) {
      response.writeHead(id ? 400 : 404).end();
      return;
    } else {
      const call = this.under;
      this.under = undefined;
      this.served++;
      if (what === 'response') call.answered(body === '' ? undefined : JSON.parse(body));
      else call.failed(Object.assign(new Error('Function.Error'), { said: JSON.parse(body) }));
    }
    response.writeHead(202).end('{"status":"OK"}');
  }

  async kill() {
    this.child.kill('SIGKILL');
    return this.ended;
  }
}

// ---- a fleet --------------------------------------------------------------------------

/** As Lambda has it: an idle instance, whichever, or a new one; at most `max`. */
export class Fleet {
  instances = [];
  starts = 0;
  queue = [];
  constructor(program, env, max, random) {
    Object.assign(this, { program, env, max, random });
  }

  invoke(event, timeoutMs) {
    return new Promise((answered, failed) => {
      this.queue.push({ event, timeoutMs, answered, failed });
      this.#turn();
    });
  }

  #turn() {
    while (this.queue.length > 0) {
      this.instances = this.instances.filter((one) => !one.gone);
      // Lambda gives an instance the next event only when it has asked for one.
      const idle = this.instances.filter((one) => one.idle && !one.busy);
      if (idle.length === 0) {
        if (this.instances.length + (this.starting ?? 0) < this.max) this.#start();
        return void setTimeout(() => this.#turn(), 2);
      }
      const call = this.queue.shift();
      const one = idle[Math.floor(this.random() * idle.length)];
      one.invoke(call.event, call.timeoutMs).then(call.answered, call.failed);
    }
  }

  async #start() {
    this.starting = (this.starting ?? 0) + 1;
    this.starts++;
    this.instances.push(await Instance.start(this.program, this.env));
    this.starting--;
  }

  async stop() {
    await Promise.all(this.instances.map((one) => one.kill()));
  }
}

// ---- API Gateway ----------------------------------------------------------------------

export class Gateway {
  connections = new Map(); // id -> socket
  calls = []; // of the management API
  fail = () => undefined; // a status to answer instead
  ids = 0;
  badSignatures = [];

  async open(fleet) {
    this.fleet = fleet;
    this.server = createServer((request, response) => this.#manage(request, response));
    this.port = await listening(this.server);
    this.endpoint = `http://127.0.0.1:${this.port}/live`;
  }
  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async #signed(request, body) {
    const signer = new SignatureV4({
      credentials: KEYS, region: REGION, service: 'execute-api', sha256: Sha256, applyChecksum: false,
    });
    const said = request.headers.authorization ?? '';
    const names = /SignedHeaders=([^,]+)/.exec(said)?.[1].split(';') ?? [];
    const headers = Object.fromEntries(
      names.filter((name) => !/^x-amz-(date|security-token)$/.test(name)).map((name) => [name, request.headers[name]]),
    );
    const date = request.headers['x-amz-date'] ?? '';
    const at = new Date(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
    if (!names.includes('host') || Number.isNaN(at.getTime())) return false;
    const { headers: mine } = await signer.sign(
      { method: request.method, protocol: 'http:', hostname: '127.0.0.1', path: request.url, headers, body },
      { signingDate: at },
    );
    return mine.authorization === said && request.headers['x-amz-security-token'] === KEYS.sessionToken;
  }

  async #manage(request, response) {
    const body = await whole(request);
    const id = decodeURIComponent(/^\/live\/%40connections\/(.+)$/.exec(request.url)?.[1] ?? '');
    if (!(await this.#signed(request, body))) {
      this.badSignatures.push({ url: request.url, headers: request.headers });
      response.writeHead(403).end('{"message":"Forbidden"}');
      return;
    }
    const text = body.toString();
    const call = { method: request.method, id, text, status: this.fail(id, text) };
    const socket = this.connections.get(id);
    if (!call.status && body.length > FRAME_MAX) call.status = 413;
    if (!call.status && (!socket || socket.gone)) call.status = 410;
    this.calls.push(call);
    if (!call.status && request.method === 'DELETE') {
      this.connections.delete(id);
      socket.dropped(1000);
    } else if (!call.status && !socket.deaf) {
      socket.heard(text);
    }
    response.writeHead(call.status ?? (request.method === 'DELETE' ? 204 : 200)).end();
  }

  // ---- events

  user(token) {
    return /^token-(.+)$/.exec(token ?? '')?.[1];
  }

  httpEvent(method, target, { headers = {}, body, user } = {}) {
    const [path, query = ''] = target.split('?');
    return {
      version: '2.0', routeKey: '$default', rawPath: decodeURIComponent(path), rawQueryString: query,
      cookies: ['theme=dark'], headers: { host: 'api.example', 'user-agent': 'tests', ...headers },
      requestContext: {
        accountId: '123456789012', apiId: 'api', domainName: 'api.example', stage: '$default',
        ...(user && { authorizer: { jwt: { claims: { iss: 'https://issuer.example', sub: user, exp: '1999999999' }, scopes: null } } }),
        http: { method, path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'tests' },
        requestId: 'r', time: '23/Nov/2026:19:03:58 +0000', timeEpoch: 1790000000000,
      },
      ...(body !== undefined && { body }),
      isBase64Encoded: false,
    };
  }

  socketEvent(kind, id, user, { body, headers, end } = {}) {
    return {
      ...(headers && { headers, multiValueHeaders: {} }),
      requestContext: {
        routeKey: { CONNECT: '$connect', DISCONNECT: '$disconnect', MESSAGE: '$default' }[kind],
        eventType: kind, connectionId: id, stage: 'live', apiId: 'ws', domainName: 'ws.example',
        ...(user && { authorizer: { principalId: user, integrationLatency: 12.5, ...(end && { exp: end }) } }),
        messageDirection: 'IN', requestId: 'r', connectedAt: 1790000000000,
      },
      ...(body !== undefined && { body }),
      isBase64Encoded: false,
    };
  }

  /** What a browser's fetch meets. */
  fetch = async (input, init = {}) => {
    const url = new URL(String(input));
    const headers = Object.fromEntries(new Headers(init.headers));
    const user = this.user(headers.authorization?.slice('Bearer '.length));
    const body = init.body === undefined ? undefined : Buffer.from(init.body).toString();
    if (!user) return new Response('{"message":"Unauthorized"}', { status: 401 });
    try {
      const event = this.httpEvent(init.method ?? 'GET', url.pathname + url.search, { headers, body, user });
      const answer = await this.fleet.invoke(event);
      this.lastHttp = { event, answer };
      init.signal?.throwIfAborted();
      const bytes = answer.isBase64Encoded ? Buffer.from(answer.body, 'base64') : answer.body;
      return new Response(bytes, { status: answer.statusCode, headers: answer.headers });
    } catch {
      return new Response('{"message":"Internal Server Error"}', { status: 500 });
    }
  };

  /** What a browser's WebSocket meets. */
  socket = (_url, protocols) => new GatewaySocket(this, protocols);

  raw(user) {
    const id = `Raw${++this.ids}cCJAC+w=`;
    const heard = [];
    this.connections.set(id, { heard: (text) => heard.push(JSON.parse(text)), dropped: (code) => heard.push({ type: 'closed', code }) });
    const say = (message, more) =>
      this.fleet.invoke(this.socketEvent('MESSAGE', id, user, { body: typeof message === 'string' ? message : JSON.stringify(message), ...more }));
    return { id, heard, say, take: () => heard.splice(0) };
  }
}

class GatewaySocket {
  constructor(gateway, protocols) {
    this.gateway = gateway;
    this.id = `L0SM${++gateway.ids}cOFvHcCIhw=`;
    this.user = gateway.user(protocols[1]?.slice('bearer.'.length));
    const headers = { 'Sec-WebSocket-Protocol': protocols.join(', '), Host: 'ws.example', Origin: 'https://app.example' };
    const event = gateway.socketEvent('CONNECT', this.id, this.user, { headers });
    gateway.fleet.invoke(event).then(
      (answer) => {
        if (this.closed) return;
        if (answer.statusCode !== 200 || answer.headers['Sec-WebSocket-Protocol'] !== 'tidemark.v1') return this.onclose?.({ code: 1006 });
        this.open = true;
        gateway.connections.set(this.id, this);
        this.onopen?.({});
      },
      () => this.onclose?.({ code: 1006 }),
    );
  }
  heard(text) {
    queueMicrotask(() => this.onmessage?.({ data: text }));
  }
  dropped(code) {
    this.closed = true;
    this.gateway.connections.delete(this.id);
    queueMicrotask(() => this.onclose?.({ code }));
    this.#goodbye();
  }
  send(text) {
    if (!this.open || this.closed) return;
    if (Buffer.byteLength(text) > FRAME_MAX) return this.dropped(1009);
    const event = this.gateway.socketEvent('MESSAGE', this.id, this.user, { body: text });
    // What a client is told when the integration fails.
    this.gateway.fleet.invoke(event).catch(() => this.heard('{"message": "Internal server error", "connectionId":"x"}'));
  }
  close() {
    if (this.closed) return;
    this.closed = true;
    this.gateway.connections.delete(this.id);
    if (this.open) this.#goodbye();
  }
  #goodbye() {
    this.gateway.fleet.invoke(this.gateway.socketEvent('DISCONNECT', this.id, this.user)).catch(() => {});
  }
}
