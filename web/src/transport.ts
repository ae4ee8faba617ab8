/**
 * transport.ts - how bytes travel: a WebSocket; where that does not open, requests with a
 * waiting pull (long poll); where something cuts those off, plain polling. It climbs up
 * again by itself. What to send and when to try it again is the engine's to say; this file
 * owns the line: opening it, letting go of it, and the token.
 */
import {
  channels,
  decoder,
  PULL,
  SAVE,
  takeSend,
  type Connection,
  type Engine,
  type Send,
} from "./core.js";
import { makeTimer, type Clock, type Page } from "./host.js";

/** The part of a WebSocket that is used. */
export interface Socket {
  /** One text message. */
  send(text: string): void;
  /** At any time, more than once too. */
  close(code?: number, reason?: string): void;
  /** It is open: `send` may be called. */
  onopen: ((event: never) => void) | null;
  /** A message came: the event's `data`, a string. */
  onmessage: ((event: never) => void) | null;
  /** It is over, or never opened: the event's `code`. */
  onclose: ((event: never) => void) | null;
}
/** Opens a WebSocket; the default is `new WebSocket(url, protocols)`. */
export type OpenSocket = (url: string, protocols: string[]) => Socket;
/** A token, or what fetches one: asked again when the server refuses the one before. */
export type Token = string | (() => string | Promise<string>);

export type TransportOptions = {
  /** Without a slash at its end. */
  readonly url: string;
  readonly list: string;
  readonly token?: Token;
  /** null: never try. */
  readonly socket: OpenSocket | null;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly page: Page;
  /** 0 <= x < 1 */
  readonly chance?: () => number;
};

/** The session, as the transport sees it. */
export interface TransportHost {
  /** Calls the engine, with or without what follows from it; undefined when it is over. */
  run(call: (engine: Engine) => unknown): unknown;
  read<T>(call: (engine: Engine) => T): T | undefined;
  connection(connection: Connection): void;
  problem(code: string, detail: string): void;
}

export interface Transport {
  start(): void;
  /** What was sent may still arrive, and outlive the page; its answer is not waited for. */
  stop(): void;
  /**
   * No reason to wait for a timer: the user looks at the page again, or the network is back.
   * `dead`: what looks open is not.
   */
  wake(dead: boolean): void;
  /** The browser says that there is no network; a look now and then tells if that is true. */
  lose(): void;
  /** Sends all that the engine has to send. */
  pump(): void;
  /** The server refused the token (401). */
  authorize(): void;
}

/** A handshake that takes longer is a proxy that swallowed it. */
const OPEN_MS = 10_000;
/** And long before that the list should load: requests begin beside it. */
const PATIENCE_MS = 2_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
/** Where requests work and the WebSocket never did; and until polling tries to wait again. */
const UPGRADE_MS = 5 * 60_000;
/** A waiting pull that breaks after so long was cut off by something between, twice in a row. */
const CUT_MS = 4_000;
const CUTS_MAX = 2;
/** A body that may outlive the page: browsers allow 64 KiB in all. */
const KEEPALIVE_MAX = 60_000;
const EXPIRED = 4401;

export function makeTransport(options: TransportOptions, host: TransportHost): Transport {
  const { run, read, problem } = host;
  const { url, token, socket: open, fetch, clock, page, chance = Math.random } = options;
  const operations = `${url}/v1/lists/${options.list}/operations`;
  let stopped = true;
  let channel: Connection = "offline";
  let socket: Socket | undefined; // connecting or open
  let opened = false; // it is open
  let failures = 0; // sockets in a row that did not come to say anything
  let cuts = 0;
  let answering = false; // the last request was answered
  const requests = new Map<AbortController, number>(); // what is out, and its kind
  let bearer: Promise<string | undefined> | undefined;
  let refusals = 0; // tokens in a row that were refused
  let attempt = 0; // counts up: what an older attempt still brings is ignored

  const [retry, patience, climb] = [makeTimer(clock), makeTimer(clock), makeTimer(clock)];

  const backoff = (failed: number): number =>
    Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** failed) * (0.5 + chance() / 2);

  /** Requests are no connection before one was answered. */
  const tell = (): void => host.connection(channel === "push" || answering ? channel : "offline");

  function enter(next: Connection): void {
    if (stopped) return;
    patience();
    climb();
    cuts = 0;
    if (next !== channel) abort();
    channel = next;
    if (next === "push" || next === "offline") answering = false;
    tell();
    run((engine) => engine.channel(channels.indexOf(next)));
    if (next === "poll") climb(UPGRADE_MS, () => enter("longpoll"));
  }

  /** Gives up what is out but for a kind, and no longer waits for that. */
  function abort(but?: number): void {
    for (const [request, kind] of requests) if (kind !== but) request.abort();
    requests.clear();
  }

  /** The token; fetched once, and again when it was refused. */
  function ask(): Promise<string | undefined> {
    if (!bearer) {
      const asked = (bearer = (async () => (typeof token === "function" ? token() : token))());
      asked.catch((error: unknown) => {
        if (bearer === asked) bearer = undefined;
        problem("no-token", `${error}; asking again`);
      });
    }
    return bearer;
  }

  // ---- The WebSocket ------------------------------------------------------------------

  function reconnect(ms: number): void {
    if (stopped || socket) return;
    const mine = ++attempt;
    retry(ms, () => {
      if (open) connect(open, mine);
      else if (channel === "offline") enter("longpoll");
    });
  }

  function connect(open: OpenSocket, mine: number): void {
    retry(OPEN_MS, failed);
    if (channel === "offline" && page.online()) patience(PATIENCE_MS, () => enter("longpoll"));
    ask().then(
      (word) => {
        if (mine !== attempt) return;
        try {
          const protocols = ["tidemark.v1", ...(word ? [`bearer.${word}`] : [])];
          listen(open(`${url.replace(/^http/, "ws")}/v1/ws`, protocols));
        } catch (error) {
          // A token that no subprotocol can carry, or a page that may not connect there.
          problem("socket", `${error}; going on without`);
          failed();
        }
      },
      () => mine === attempt && failed(),
    );
  }

  /** Until `drop` takes its handlers away. */
  function listen(made: Socket): void {
    socket = made;
    made.onopen = () => {
      retry();
      opened = true;
      enter("push");
    };
    made.onmessage = (event: { data: unknown }) => {
      if (typeof event.data !== "string") return made.close(1003);
      failures = refusals = 0;
      const { data } = event;
      run((engine) => engine.feed(data));
    };
    made.onclose = (event: { code?: number }) => {
      if (event.code === EXPIRED) bearer = undefined;
      failed();
    };
  }

  /** No WebSocket this time: go on without, and try again later. */
  function failed(): void {
    // Where it had worked: a server that restarts, a network that changed. All its clients
    // come back at once, so not all in the same moment, and not twice, by requests too.
    const worked = opened && failures === 0;
    drop();
    failures++;
    if (worked) enter("offline");
    else if (channel === "offline" || channel === "push") enter("longpoll");
    const rare = answering && failures > 3;
    reconnect(rare ? UPGRADE_MS * (0.5 + chance()) : backoff(worked ? 0 : failures));
  }

  /** Lets go of the socket, whatever became of it. */
  function drop(): void {
    const old = socket;
    socket = undefined;
    opened = false;
    attempt++;
    retry();
    patience();
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.close();
  }

  function lose(): void {
    drop();
    enter("offline");
    reconnect(RETRY_MAX_MS);
  }

  // ---- Requests -----------------------------------------------------------------------

  async function request({ kind, ref, bytes, timeout }: Send): Promise<void> {
    const controller = new AbortController();
    requests.set(controller, kind);
    const began = clock.mono();
    const late = clock.after(timeout, () => controller.abort());
    let status = 0;
    let body = new Uint8Array();
    try {
      const word = await ask();
      const save = kind === SAVE;
      const response = await fetch(save ? operations : `${operations}?${decoder.decode(bytes)}`, {
        headers: {
          ...(word && { authorization: `Bearer ${word}` }),
          ...(save && { "content-type": "application/json" }),
        },
        ...(save && {
          method: "POST",
          body: bytes,
          keepalive: !page.visible() && bytes.length <= KEEPALIVE_MAX,
        }),
        signal: controller.signal,
        cache: "no-store",
        redirect: "error",
      });
      body = new Uint8Array(await response.arrayBuffer());
      status = response.status;
    } catch {
      // no answer: refused, lost, cut off, out of time
    }
    late();
    if (!requests.delete(controller)) return; // the channel changed: the engine knows it as lost
    judge(kind, status, clock.mono() - began);
    run((engine) => engine.answer(ref, status, body));
  }

  /** What an answer says about the line. */
  function judge(kind: number, status: number, took: number): void {
    if (status > 0 && status !== 401) refusals = 0;
    if (status > 0 && !answering) {
      // The server is back: so may be its WebSocket.
      if (failures > 0) {
        failures = 1;
        reconnect(backoff(0));
      }
    }
    answering = status > 0;
    if (kind === PULL && channel === "longpoll") {
      cuts = (status === 0 || status > 407) && took >= CUT_MS ? cuts + 1 : 0;
      if (cuts >= CUTS_MAX) return enter("poll");
    }
    tell();
  }

  function authorize(): void {
    if (stopped) return;
    bearer = undefined;
    const again = typeof token === "function" && refusals === 0;
    if (!again) problem("token", "sign in again");
    clock.after(again ? 0 : backoff(refusals + 4), () => {
      if (!stopped) ask().then(() => run((engine) => engine.authorized()), authorize);
    });
    refusals++;
  }

  return {
    start() {
      stopped = false;
      if (page.online()) reconnect(0);
      else lose();
    },
    stop() {
      stopped = true;
      abort(SAVE);
      drop();
      climb();
    },
    wake(dead) {
      if (opened && !dead) return;
      if (opened) lose();
      failures = 0;
      reconnect(0);
    },
    lose,
    pump() {
      if (stopped) return;
      for (let send = read(takeSend); send; send = read(takeSend)) {
        if (channel !== "push") void request(send);
        else if (opened) socket?.send(decoder.decode(send.bytes)); // else the engine hears next
      }
    },
    authorize,
  };
}
