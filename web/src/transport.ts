/**
 * transport.ts - how bytes travel: a WebSocket; where that does not open, requests with a
 * waiting pull (long poll); where something cuts those off, plain polling. It climbs up
 * again by itself. What to send and when to try it again is the engine's to say; this file
 * owns the line: opening it, letting go of it, and the token.
 *
 *     push      a WebSocket is open
 *     longpoll  requests; a pull is always waiting
 *     poll      requests; a pull now and then
 *     offline   nothing answers, or nothing was tried yet
 */
import type { Channel, Send } from "./core.js";
import type { Clock, Page } from "./host.js";

export type Connection = Channel;

/** The part of a WebSocket that is used. */
export interface Socket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
}
export type OpenSocket = (url: string, protocols: string[]) => Socket;
/** A token, or what fetches one: asked again when the server refuses the one before. */
export type Token = string | (() => string | Promise<string>);

export type TransportOptions = {
  /** Without a slash at its end. */
  readonly url: string;
  readonly list: string;
  readonly token: Token | undefined;
  /** null: never try. */
  readonly socket: OpenSocket | null;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  readonly page: Page;
  /** 0 <= x < 1 */
  readonly random: () => number;
};

/** The engine, as the transport sees it. */
export interface TransportHost {
  channel(channel: Channel): void;
  take(): Send | undefined;
  answer(ref: bigint, http: number, body: Uint8Array): void;
  feed(frame: string): void;
  authorized(): void;
  connection(connection: Connection): void;
  problem(detail: string): void;
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

const decoder = new TextDecoder();
const none = new Uint8Array();

export class Transport {
  readonly #options: TransportOptions;
  readonly #host: TransportHost;
  readonly #operations: string;
  #stopped = true;
  #channel: Channel = "offline";
  #socket: Socket | undefined; // connecting or open
  #opened = false; // it is open
  #failures = 0; // sockets in a row that did not come to say anything
  #cuts = 0;
  #answering = false; // the last request was answered
  #requests = new Map<AbortController, Send["kind"]>(); // what is out
  #token: Promise<string | undefined> | undefined;
  #refusals = 0; // tokens in a row that were refused
  #connecting = 0; // counts up: what an older attempt still brings is ignored
  #retry = (): void => {};
  #patience = (): void => {};
  #climb = (): void => {};
  #authorizing = (): void => {};

  constructor(options: TransportOptions, host: TransportHost) {
    this.#options = options;
    this.#host = host;
    this.#operations = `${options.url}/v1/lists/${options.list}/operations`;
  }

  start(): void {
    this.#stopped = false;
    if (!this.#options.page.online()) this.#lose();
    else if (this.#options.socket) this.#connect();
    else this.#enter("longpoll");
  }

  /** What was sent may still arrive, and outlive the page; its answer is not waited for. */
  stop(): void {
    this.#stopped = true;
    this.#requests.forEach((kind, request) => kind === "pull" && request.abort());
    this.#requests.clear();
    this.#drop();
    this.#climb();
    this.#authorizing();
  }

  online(): void {
    if (this.#opened) this.#drop(); // what was open may have died with the network before
    this.#failures = 0;
    this.#reconnect(0);
  }

  /** The browser says that there is no network; a look now and then tells if that is true. */
  offline(): void {
    this.#lose();
  }

  /** The user looks at the page again: no reason to wait for a timer. */
  visible(): void {
    if (!this.#opened && this.#failures > 0) this.#reconnect(0);
  }

  /** The line looks open, but the engine heard nothing when an answer was due. */
  silent(): void {
    if (!this.#opened) return;
    this.#drop();
    this.#enter("offline");
    this.#reconnect(0);
  }

  /** Sends all that the engine has to send. */
  pump(): void {
    if (this.#stopped) return;
    for (let send = this.#host.take(); send; send = this.#host.take()) {
      if (this.#channel === "push") this.#sendFrame(send);
      else void this.#request(send);
    }
  }

  /** The server refused the token (401). */
  authorize(): void {
    this.#token = undefined;
    const again = typeof this.#options.token === "function" && this.#refusals === 0;
    if (!again) this.#host.problem("the server refused the token");
    this.#authorizing();
    this.#authorizing = this.#options.clock.after(
      again ? 0 : this.#backoff(this.#refusals + 4),
      () => {
        void this.#bearer().then(
          () => this.#stopped || this.#host.authorized(),
          () => this.#stopped || this.authorize(),
        );
      },
    );
    this.#refusals++;
  }

  // ---- The WebSocket ------------------------------------------------------------------

  #connect(): void {
    const { socket: open, clock, url, page } = this.#options;
    if (this.#stopped || this.#socket || !open) return;
    this.#retry();
    const attempt = ++this.#connecting;
    const current = (): boolean => attempt === this.#connecting && !this.#stopped;
    const late = clock.after(OPEN_MS, () => current() && this.#failed());
    if (this.#channel === "offline" && page.online()) {
      this.#patience = clock.after(PATIENCE_MS, () => current() && this.#enter("longpoll"));
    }
    this.#retry = late;

    this.#bearer().then(
      (token) => {
        if (!current()) return;
        const protocols = token ? ["tidemark.v1", `bearer.${token}`] : ["tidemark.v1"];
        try {
          this.#listen(open(url.replace(/^http/, "ws") + "/v1/ws", protocols), current, late);
        } catch (error) {
          // A token that no subprotocol can carry, or a page that may not connect there.
          this.#host.problem(`the WebSocket does not open: ${String(error)}`);
          this.#failed();
        }
      },
      () => current() && this.#failed(),
    );
  }

  #listen(socket: Socket, current: () => boolean, late: () => void): void {
    this.#socket = socket;
    socket.onopen = () => {
      if (!current()) return socket.close();
      late();
      this.#opened = true;
      this.#enter("push");
    };
    socket.onmessage = (event: { data: unknown }) => {
      if (!current()) return;
      if (typeof event.data !== "string") return socket.close(1003);
      this.#failures = this.#refusals = 0;
      this.#host.feed(event.data);
    };
    socket.onclose = (event: { code?: number }) => {
      if (!current()) return;
      if (event.code === EXPIRED) this.#token = undefined;
      const opened = this.#opened;
      this.#drop();
      if (!opened || this.#failures > 0) return this.#failed();
      // It had worked: a server that restarts, a network that changed. All its clients come
      // back at once, so not all in the same moment, and not twice, by requests too.
      this.#failures++;
      this.#enter("offline");
      this.#reconnect(this.#backoff(0));
    };
  }

  #sendFrame(send: Send): void {
    if (!this.#socket || !this.#opened) return; // the engine hears of the lost channel next
    this.#socket.send(decoder.decode(send.bytes));
  }

  /** No WebSocket this time: go on without, and try again later. */
  #failed(): void {
    this.#drop();
    this.#failures++;
    if (this.#channel === "offline") this.#enter("longpoll");
    const rare = this.#answering && this.#failures > 3;
    this.#reconnect(
      rare ? UPGRADE_MS * (0.5 + this.#options.random()) : this.#backoff(this.#failures),
    );
  }

  #reconnect(ms: number): void {
    if (this.#stopped || this.#socket) return;
    this.#retry();
    this.#connecting++;
    this.#retry = this.#options.clock.after(ms, () => {
      if (this.#options.socket) this.#connect();
      else if (this.#channel === "offline") this.#enter("longpoll");
    });
  }

  #backoff(failures: number): number {
    const most = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 10));
    return most * (0.5 + this.#options.random() / 2);
  }

  /** Lets go of the socket, whatever became of it. */
  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#opened = false;
    this.#connecting++;
    this.#retry();
    this.#patience();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    try {
      socket.close();
    } catch {
      // it was closed already
    }
  }

  #lose(): void {
    this.#drop();
    this.#enter("offline");
    this.#reconnect(RETRY_MAX_MS);
  }

  // ---- Requests -----------------------------------------------------------------------

  async #request(send: Send): Promise<void> {
    const { clock, fetch, page } = this.#options;
    const abort = new AbortController();
    this.#requests.set(abort, send.kind);
    const began = clock.mono();
    const late = clock.after(send.timeout, () => abort.abort());
    let status = 0;
    let body: Uint8Array = none;
    try {
      const token = await this.#bearer();
      const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
      const common = {
        headers,
        signal: abort.signal,
        cache: "no-store",
        redirect: "error",
      } as const;
      let response: Response;
      if (send.kind === "save") {
        headers["content-type"] = "application/json";
        const keepalive = !page.visible() && send.bytes.length <= KEEPALIVE_MAX;
        response = await fetch(this.#operations, {
          ...common,
          method: "POST",
          body: send.bytes,
          keepalive,
        });
      } else {
        response = await fetch(`${this.#operations}?${decoder.decode(send.bytes)}`, common);
      }
      body = new Uint8Array(await response.arrayBuffer());
      status = response.status;
    } catch {
      // no answer: refused, lost, cut off, out of time
    }
    late();
    if (!this.#requests.delete(abort)) return; // the channel changed: the engine knows it as lost
    this.#judge(send, status, clock.mono() - began);
    this.#host.answer(send.ref, status, body);
  }

  /** What an answer says about the line. */
  #judge(send: Send, status: number, took: number): void {
    const answering = status !== 0;
    if (answering && status !== 401) this.#refusals = 0;
    if (answering && !this.#answering) {
      // The server is back: so may be its WebSocket.
      this.#failures = Math.min(this.#failures, 1);
      if (this.#failures > 0) this.#reconnect(this.#backoff(0));
    }
    this.#answering = answering;
    if (send.kind === "pull" && this.#channel === "longpoll") {
      const cut = status === 0 || status === 408 || status === 502 || status === 504;
      this.#cuts = cut && took >= CUT_MS ? this.#cuts + 1 : 0;
      if (this.#cuts >= CUTS_MAX) return this.#enter("poll");
    }
    this.#host.connection(answering ? this.#channel : "offline");
  }

  // ---- The rest -----------------------------------------------------------------------

  #enter(channel: Channel): void {
    if (this.#stopped) return;
    this.#patience();
    this.#climb();
    this.#cuts = 0;
    if (channel !== this.#channel) this.#abortRequests();
    this.#channel = channel;
    const known = channel === "push" || (channel !== "offline" && this.#answering);
    if (channel === "push" || channel === "offline") this.#answering = false;
    this.#host.connection(known ? channel : "offline");
    this.#host.channel(channel);
    if (channel === "poll")
      this.#climb = this.#options.clock.after(UPGRADE_MS, () => this.#enter("longpoll"));
  }

  /** The token; fetched once, and again when it was refused. */
  #bearer(): Promise<string | undefined> {
    const { token } = this.#options;
    if (!this.#token) {
      const asked = (async () => (typeof token === "function" ? await token() : token))();
      this.#token = asked;
      asked.catch((error: unknown) => {
        if (this.#token === asked) this.#token = undefined;
        this.#host.problem(`no token: ${String(error)}`);
      });
    }
    return this.#token;
  }

  #abortRequests(): void {
    const requests = [...this.#requests.keys()];
    this.#requests.clear();
    requests.forEach((request) => request.abort());
  }
}
