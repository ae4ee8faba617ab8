/**
 * gateway.ts - `tidemark/gateway`, for a server behind Amazon API Gateway (docs/LAMBDA.md):
 * WebSockets have an address of their own there, their frames are small, and nobody waits in a
 * long poll.
 *
 *     openList({ url, user, list, token, ...overGateway({ url, sockets: "wss://..." }) })
 *
 * What is too large for a frame goes over HTTP and is handed on as the frame that it would
 * have been, in its place: the engine sees one line.
 *
 * @module tidemark/gateway
 */
import { browserClock, type Clock } from "./host.js";
import type { OpenSocket, Socket } from "./transport.js";

/** Where API Gateway has its two APIs. */
export type GatewayOptions = {
  /** Of the HTTP API, as `openList` is told it. */
  readonly url: string;
  /** Of the WebSocket API, with its stage: "wss://ID.execute-api.REGION.amazonaws.com/live". */
  readonly sockets: string;
  /** In place of the browser's. */
  readonly socket?: OpenSocket;
  readonly fetch?: typeof globalThis.fetch;
  readonly clock?: Clock;
};
/** What of `openList`'s options is to be replaced. */
export type Gateway = { readonly socket: OpenSocket; readonly fetch: typeof globalThis.fetch };

/** What API Gateway closes a connection for, with 1009; where nobody has said a number. */
const FRAME_MAX = 32_768;
/** Between pulls that would have waited and brought nothing. */
const POLL_MS = 4_000;
const encoder = new TextEncoder();

/** The line through API Gateway, for the options of `openList`. */
export function overGateway(options: GatewayOptions): Gateway {
  const { url, sockets, clock = browserClock } = options;
  const base =
    options.socket ??
    ((address: string, protocols: string[]): Socket => new WebSocket(address, protocols));
  const ask = options.fetch ?? globalThis.fetch.bind(globalThis);
  let said = Infinity; // by the server
  let cut = Infinity; // learned from a connection that was closed for it

  /** Is it longer than a frame may be? */
  const exceeds = (text: string): boolean => {
    const max = Math.min(said, cut);
    return text.length * 3 > max && encoder.encode(text).length > max;
  };

  const socket: OpenSocket = (_address, protocols) => {
    const inner = base(sockets, protocols);
    const bearer = protocols.find((word) => word.startsWith("bearer."))?.slice(7);
    let subscribe = ""; // the last one sent
    let held: string[] | undefined; // what came while its answer is fetched
    let over = false;

    const outer: Socket = {
      send(text) {
        const save = /^\{"type":"SAVE","list":"([^"]+)","ref":(\d+)/.exec(text);
        if (text.startsWith('{"type":"SUBSCRIBE"')) subscribe = text;
        if (save && exceeds(text)) void saveByRequest(save[1]!, save[2]!, text);
        else inner.send(text);
      },
      close(code, reason) {
        over = true;
        inner.close(code, reason);
      },
      onopen: null,
      onmessage: null,
      onclose: null,
    };
    const tell = (data: string): void => {
      if (!over) outer.onmessage?.({ data } as never);
    };

    inner.onopen = (event) => outer.onopen?.(event);
    inner.onclose = (event: { code?: number }) => {
      if (event.code === 1009) cut = FRAME_MAX;
      outer.onclose?.(event as never);
      over = true;
    };
    inner.onmessage = (event: { data: unknown }) => {
      if (typeof event.data === "string") receive(event.data);
      else outer.onmessage?.(event as never);
    };

    function receive(data: string): void {
      // "Internal server error": what was sent last has no answer. A new line asks again.
      if (data.startsWith('{"message"')) {
        inner.close();
        outer.onclose?.({ code: 1011 } as never);
        over = true;
        return;
      }
      if (held) return void held.push(data);
      if (data.startsWith('{"type":"SUBSCRIBED"'))
        said = Number(/"frameMax":(\d+)/.exec(data)?.[1] ?? Infinity);
      if (
        subscribe &&
        data.startsWith('{"type":"ERROR"') &&
        data.includes('"code":"frame-too-large"')
      )
        return void subscribeByRequests();
      tell(data);
    }

    /** Status (0: no answer) and body. */
    async function exchange(path: string, body?: string): Promise<[number, string]> {
      try {
        const response = await ask(`${url}/v1/lists/${path}`, {
          headers: {
            ...(bearer && { authorization: `Bearer ${bearer}` }),
            ...(body && { "content-type": "application/json" }),
          },
          ...(body && { method: "POST", body }),
          cache: "no-store",
          redirect: "error",
        });
        return [response.status, await response.text()];
      } catch {
        return [0, ""];
      }
    }

    /** A refusal, as the frame says it. Without an answer it is one that comes again. */
    function refuse(list: string, ref: string | undefined, status: number, body: string): void {
      let problem: Record<string, unknown> = {};
      try {
        problem = JSON.parse(body) as Record<string, unknown>;
      } catch {
        // a proxy's words, or none
      }
      const { code = "unavailable", title = "", detail = "" } = problem;
      const head = { type: "ERROR", list, ...(ref && { ref: Number(ref) }) };
      tell(JSON.stringify({ ...head, title, status: status || 503, code, detail }));
    }

    async function saveByRequest(list: string, ref: string, text: string): Promise<void> {
      const [status, body] = await exchange(`${list}/operations`, text);
      if (over) return;
      if (status !== 200) return refuse(list, ref, status, body);
      receive(`{"type":"SAVED","list":"${list}","ref":${ref},${body.slice(1)}`);
    }

    async function subscribeByRequests(): Promise<void> {
      type Place = { version: number; mark: string; head: number };
      type Asked = { list: string; user: string; since: number; mark: string; acked?: number };
      const asked = JSON.parse(subscribe) as Asked;
      const { list, user, acked } = asked;
      let { since = 0, mark = "" } = asked;
      let begun = false;
      held = [];
      for (let more = true; more && !over; ) {
        const query = new URLSearchParams({ since: `${since}`, mark, user });
        if (acked !== undefined) query.set("acked", `${acked}`);
        const [status, body] = await exchange(`${list}/operations?${query}`);
        if (status !== 200) {
          refuse(list, undefined, status, body);
          break;
        }
        // The snapshot stands last, and its text is passed on as it is.
        const at = body.indexOf(',"snapshot":{');
        const place = JSON.parse(at < 0 ? body : `${body.slice(0, at)}}`) as Place;
        const { version, head } = place;
        if (!begun) {
          const from = at < 0 ? { version: since, mark } : { version: 0, mark: "" };
          const hello = { type: "SUBSCRIBED", list, user, head, ...from };
          tell(JSON.stringify({ ...hello, serverTime: (place as { serverTime?: number }).serverTime }));
        }
        begun = true;
        if (at < 0) tell(`{"type":"OPERATIONS","list":"${list}","from":${since + 1},${body.slice(1)}`);
        else
          tell(
            JSON.stringify({
              type: "SNAPSHOT",
              list,
              version,
              mark: place.mark,
              part: 1,
              parts: 1,
              data: body.slice(at + ',"snapshot":'.length, -1),
            }),
          );
        more = version < head && version > since;
        since = version;
        mark = place.mark;
      }
      const waiting = held;
      held = undefined;
      waiting.forEach(receive);
    }

    return outer;
  };

  /** A pull that would have waited waits here, where it costs nothing. */
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const response = await ask(input, init);
    const waits = typeof input === "string" && input.includes("&wait=") && response.ok;
    if (!waits) return response;
    const text = await response.clone().text();
    if (!text.startsWith('{"waits":false,') || !text.endsWith('"operations":[]}')) return response;
    await new Promise<void>((done, stop) => {
      const wake = clock.after(POLL_MS, done);
      init?.signal?.addEventListener("abort", () => {
        wake();
        stop(init.signal?.reason as Error);
      });
    });
    return response;
  };
  return { socket, fetch };
}
