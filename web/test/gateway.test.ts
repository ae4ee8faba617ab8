/** API Gateway's line: what is too large for a frame goes over HTTP, in its place. */
import { beforeEach, expect, test } from "vitest";
import { overGateway } from "../src/gateway.js";
import type { Socket } from "../src/transport.js";
import { FakeClock, settle } from "./fakes.js";

class Inner implements Socket {
  sent: string[] = [];
  closed = false;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
  says(data: unknown): void {
    this.onmessage?.({ data } as never);
  }
}

type Asked = { url: string; method: string; body: unknown; authorization: string | null };
let inner: Inner, opened: [string, string[]][], asked: Asked[], heard: string[];
let answers: [number, string][];
let clock: FakeClock;

beforeEach(() => {
  [inner, opened, asked, heard, answers] = [new Inner(), [], [], [], []];
  clock = new FakeClock();
});

function line(): Socket {
  const gateway = overGateway({
    url: "https://api.example",
    sockets: "wss://sockets.example/live",
    clock,
    socket: (url, protocols) => {
      opened.push([url, protocols]);
      return inner;
    },
    fetch: async (input, init = {}) => {
      const headers = new Headers(init.headers);
      asked.push({
        url: String(input),
        method: init.method ?? "GET",
        body: init.body,
        authorization: headers.get("authorization"),
      });
      const [status, body] = answers.shift() ?? [0, ""];
      if (status === 0) throw new TypeError("Failed to fetch");
      return new Response(body, { status });
    },
  });
  const outer = gateway.socket("wss://api.example/v1/ws", ["tidemark.v1", "bearer.tok"]);
  outer.onmessage = (event: { data: string }) => heard.push(event.data);
  return outer;
}

const save = (length: number): string =>
  `{"type":"SAVE","list":"photos","ref":7,"user":"ann","operations":["${"x".repeat(length)}"]}`;
const SUBSCRIBE = '{"type":"SUBSCRIBE","list":"photos","user":"ann","since":3,"mark":"m3","acked":5}';
const TOO_LARGE = '{"type":"ERROR","list":"photos","title":"","status":413,"code":"frame-too-large"}';
const types = (): unknown[] => heard.map((text) => (JSON.parse(text) as { type: string }).type);

test("the WebSocket API's address, the same subprotocols", () => {
  line();
  expect(opened).toEqual([["wss://sockets.example/live", ["tidemark.v1", "bearer.tok"]]]);
});

test("the limit is the server's word: a save above it is a request, its answer a frame", async () => {
  const outer = line();
  outer.send(save(2000));
  expect(inner.sent).toHaveLength(1);
  inner.says('{"type":"SUBSCRIBED","list":"photos","frameMax":1000}');
  outer.send(save(100));
  expect(inner.sent).toHaveLength(2);
  answers.push([200, '{"success":true,"user":"ann","version":9,"acks":[]}']);
  outer.send(save(2000));
  await settle();
  expect(inner.sent).toHaveLength(2);
  expect(asked).toEqual([
    {
      url: "https://api.example/v1/lists/photos/operations",
      method: "POST",
      body: save(2000),
      authorization: "Bearer tok",
    },
  ]);
  expect(heard.at(-1)).toBe(
    '{"type":"SAVED","list":"photos","ref":7,"success":true,"user":"ann","version":9,"acks":[]}',
  );
});

test("bytes count, not characters", async () => {
  const outer = line();
  inner.says('{"type":"SUBSCRIBED","list":"photos","frameMax":1000}');
  outer.send(save(0).replace('""', `"${"ü".repeat(480)}"`));
  await settle();
  expect(asked).toHaveLength(1);
});

test("closed with 1009: the next connection knows", async () => {
  const outer = line();
  inner.onclose?.({ code: 1009 } as never);
  outer.send(save(40_000));
  await settle();
  expect(asked).toHaveLength(1);
});

test("the gateway's own word for an event that failed ends the line", () => {
  const outer = line();
  let code = 0;
  outer.onclose = (event: { code: number }) => (code = event.code);
  inner.says('{"message": "Internal server error", "connectionId":"x", "requestId":"y"}');
  inner.says('{"type":"SEEN","list":"photos","version":1}');
  expect([code, inner.closed, heard]).toEqual([1011, true, []]);
});

test.each([
  [503, '{"title":"Service Unavailable","code":"unavailable","detail":"later"}', 503, "unavailable"],
  [0, "", 503, "unavailable"],
  [502, "<html>", 502, "unavailable"],
  [409, '{"code":"user","detail":"not you"}', 409, "user"],
])("a save that is refused over HTTP (%i) is refused as a frame", async (http, body, status, code) => {
  const outer = line();
  inner.says('{"type":"SUBSCRIBED","list":"photos","frameMax":1000}');
  answers.push([http, body]);
  outer.send(save(2000));
  await settle();
  expect(JSON.parse(heard.at(-1)!)).toMatchObject({ type: "ERROR", list: "photos", ref: 7, status, code });
});

test("frame-too-large: the backlog is asked for, page by page, and what came meanwhile follows", async () => {
  const outer = line();
  outer.send(SUBSCRIBE);
  answers.push([200, '{"user":"ann","version":6,"mark":"m6","head":8,"serverTime":1,"operations":[4]}']);
  answers.push([200, '{"user":"ann","version":8,"mark":"m8","head":8,"serverTime":1,"operations":[7]}']);
  inner.says(TOO_LARGE);
  inner.says('{"type":"OPERATIONS","list":"photos","from":9,"version":9}');
  await settle();
  expect(asked.map(({ url }) => new URL(url).search)).toEqual([
    "?since=3&mark=m3&user=ann&acked=5",
    "?since=6&mark=m6&user=ann&acked=5",
  ]);
  expect(types()).toEqual(["SUBSCRIBED", "OPERATIONS", "OPERATIONS", "OPERATIONS"]);
  expect(heard.map((text) => (JSON.parse(text) as { version: number }).version)).toEqual([3, 6, 8, 9]);
  expect(heard[2]).toContain('"from":7,');
});

test("a snapshot is one part, its text untouched", async () => {
  const outer = line();
  outer.send(SUBSCRIBE);
  const text = '{"state":{"10":1,"2":{}},"H":[1,0],"live":0}';
  answers.push([200, `{"user":"ann","version":8,"mark":"m8","head":8,"serverTime":1,"snapshot":${text}}`]);
  inner.says(TOO_LARGE);
  await settle();
  expect(types()).toEqual(["SUBSCRIBED", "SNAPSHOT"]);
  expect(JSON.parse(heard[0]!)).toMatchObject({ version: 0, mark: "", head: 8 });
  expect(JSON.parse(heard[1]!)).toMatchObject({ version: 8, mark: "m8", part: 1, parts: 1, data: text });
});

test("a subscription that fails over HTTP, too, is refused; a line that is let go says no more", async () => {
  const outer = line();
  outer.send(SUBSCRIBE);
  inner.says(TOO_LARGE);
  inner.says('{"type":"SEEN","list":"photos","version":1}');
  await settle();
  expect(types()).toEqual(["ERROR", "SEEN"]);
  inner.says(TOO_LARGE);
  outer.close();
  await settle();
  expect(heard).toHaveLength(2);
  expect(inner.closed).toBe(true);
});

test("a pull that would have waited waits here", async () => {
  const empty = '{"waits":false,"user":"ann","version":3,"operations":[]}';
  const { fetch } = overGateway({
    url: "",
    sockets: "",
    clock,
    socket: () => inner,
    fetch: async () => new Response(empty, { status: 200 }),
  });
  let done = 0;
  const count = (): number => done++;
  void fetch("/v1/lists/photos/operations?since=3&mark=&wait=25").then(count);
  void fetch("/v1/lists/photos/operations?since=3&mark=").then(count);
  await settle();
  expect(done).toBe(1);
  await clock.advance(4000);
  expect(done).toBe(2);
  const gone = new AbortController();
  const aborted = fetch("/v1/lists/photos/operations?since=3&mark=&wait=25", { signal: gone.signal });
  await settle();
  gone.abort(new Error("gone"));
  await expect(aborted).rejects.toThrow("gone");
});
