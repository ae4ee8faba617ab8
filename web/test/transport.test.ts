/** The line: how it is opened, lost, noticed as dead, and climbed again. */
import { beforeEach, expect, test } from "vitest";
import {
  channels as words,
  PULL,
  SAVE,
  type Connection,
  type Engine,
  type Send,
} from "../src/core.js";
import { makeTransport, type Transport, type TransportOptions } from "../src/transport.js";
import { FakeBrowser, FakeClock, FakePage, FakeServer, Tab, settle } from "./fakes.js";

// ---- With an engine that is a list of things to send ------------------------------------

let clock: FakeClock, server: FakeServer, page: FakePage;
let channels: string[],
  connections: Connection[],
  answers: number[],
  frames: string[],
  problems: string[];
let authorized: number, toSend: Send[];
let transport: Transport | undefined;

beforeEach(() => {
  transport?.stop();
  clock = new FakeClock();
  server = new FakeServer(clock);
  page = new FakePage();
  [channels, connections, answers, frames, problems, toSend] = [[], [], [], [], [], []];
  authorized = 0;
});

const text = (words: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(words);
const pull = (timeout = 30_000): Send => ({
  kind: PULL,
  ref: 1n,
  bytes: text("since=0&mark=&wait=25"),
  timeout,
});
const save: Send = { kind: SAVE, ref: 2n, bytes: text('{"operations":[]}'), timeout: 10_000 };
const subscribe: Send = {
  kind: 3,
  ref: 0n,
  bytes: text('{"type":"SUBSCRIBE","since":0}'),
  timeout: 10_000,
};

/** A long poll is always out; on the push channel one SUBSCRIBE is. */
function open(more: Partial<TransportOptions> = {}): Transport {
  let out = false;
  let said: string | undefined;
  const next = (): Send | undefined => {
    const channel = channels.at(-1);
    if (channel === "push" && said === undefined) {
      said = channel;
      return subscribe;
    }
    if (toSend.length > 0) return toSend.shift();
    if (channel !== "longpoll" || out) return undefined;
    out = true;
    return pull();
  };
  let taken: Send | undefined;
  const engine = {
    channel(number: number) {
      channels.push(words[number]!);
      out = false;
      said = undefined;
      queueMicrotask(() => made.pump());
    },
    take: () => (taken = next())?.kind ?? 0,
    bytes: () => taken!.bytes,
    ref: () => taken!.ref,
    timeout: () => taken!.timeout,
    answer(_ref: bigint, http: number) {
      answers.push(http);
      clock.after(http === 200 ? 0 : 1000, () => {
        out = false;
        made.pump();
      });
    },
    feed: (frame: string) => frames.push((JSON.parse(frame) as { type: string }).type),
    authorized: () => authorized++,
  } as unknown as Engine;
  const made: Transport = makeTransport(
    {
      url: "http://server.example",
      list: "photos",
      socket: server.socket,
      fetch: server.fetch,
      clock,
      page,
      chance: () => 0.5,
      ...more,
    },
    {
      run: (call) => call(engine),
      read: (call) => call(engine),
      connection: (connection) => {
        if (connections.at(-1) !== connection) connections.push(connection);
      },
      problem: (code, detail) => problems.push(`${code}: ${detail}`),
    },
  );
  transport = made;
  made.start();
  return made;
}

test("a WebSocket, with the token as a second subprotocol and never in the address", async () => {
  open({ token: "abc.def" });
  await clock.advance(100);
  expect(server.protocols).toEqual([["tidemark.v1", "bearer.abc.def"]]);
  expect(channels).toEqual(["push"]);
  expect(connections.at(-1)).toBe("push");
  expect(frames).toEqual(["SUBSCRIBED"]);
  expect(server.requests).toEqual([]);
});

test("no WebSocket: long poll at once, with the token as a header; upgraded when it opens", async () => {
  server.sockets = "fail";
  open({ token: async () => "tok" });
  await clock.advance(100);
  expect(channels).toEqual(["longpoll"]);
  expect(server.requests[0]?.headers.get("authorization")).toBe("Bearer tok");
  expect(server.requests[0]?.path).toBe("/v1/lists/photos/operations");
  expect(server.requests[0]?.query).toBe("?since=0&mark=&wait=25");
  await clock.advance(26_000);
  expect(connections.at(-1)).toBe("longpoll");
  server.sockets = "open";
  await clock.advance(8 * 60_000);
  expect(channels.at(-1)).toBe("push");
  expect(connections.at(-1)).toBe("push");
});

test("a handshake that hangs: requests begin after 2 s, it is given up after 10 s", async () => {
  server.sockets = "hang";
  open();
  await clock.advance(1900);
  expect(channels).toEqual([]);
  await clock.advance(200);
  expect(channels).toEqual(["longpoll"]);
  expect(server.protocols).toHaveLength(1);
  await clock.advance(12_000);
  expect(server.protocols.length).toBeGreaterThan(1);
});

test("waiting pulls that are cut off twice: polling; later long poll again", async () => {
  server.sockets = "fail";
  server.cutAfterMs = 5000;
  open();
  await clock.advance(15_000);
  expect(channels).toEqual(["longpoll", "poll"]);
  await clock.advance(4 * 60_000);
  expect(channels.at(-1)).toBe("poll");
  server.cutAfterMs = Infinity;
  await clock.advance(4 * 60_000);
  expect(channels).toEqual(["longpoll", "poll", "longpoll"]);
});

test("without WebSocket by choice, too, polling climbs back", async () => {
  server.cutAfterMs = 5000;
  open({ socket: null });
  await clock.advance(15_000);
  expect(channels.at(-1)).toBe("poll");
  await clock.advance(6 * 60_000);
  expect(channels.filter((channel) => channel === "longpoll").length).toBeGreaterThan(1);
  expect(server.protocols).toEqual([]);
});

test("a socket that closes comes back within a second, all clients not at once", async () => {
  const one = open();
  await clock.advance(100);
  server.stop();
  await settle();
  expect(channels).toEqual(["push", "offline"]);
  await clock.advance(1000);
  expect(channels).toEqual(["push", "offline", "push"]);
  one.stop();
  const waits = new Set<number>();
  for (const chance of [0, 0.3, 0.6, 0.9]) {
    channels = [];
    const client = open({ chance: () => chance });
    await clock.advance(100);
    server.stop();
    const began = clock.now;
    while (channels.length < 3) await clock.advance(10);
    waits.add(clock.now - began);
    client.stop();
  }
  expect(waits.size).toBe(4);
});

test("a WebSocket that opens and closes without a word: requests", async () => {
  open();
  await clock.advance(100);
  server.silent = true; // it opens, and says nothing
  for (let i = 0; i < 5; i++) {
    server.stop();
    await clock.advance(20_000);
  }
  expect(channels).toContain("longpoll");
});

test("a server that is away: requests and sockets thin out, then it is found again", async () => {
  open();
  await clock.advance(100);
  server.down = true;
  server.stop();
  await clock.advance(5 * 60_000);
  expect(connections.at(-1)).toBe("offline");
  expect(server.protocols.length).toBeLessThan(30);
  server.down = false;
  await clock.advance(40_000);
  expect(connections.at(-1)).toBe("push");
});

test("the first answer after an outage brings the WebSocket back at once", async () => {
  const one = open();
  await clock.advance(100);
  server.down = true;
  server.stop();
  await clock.advance(10 * 60_000); // by now it is tried every half minute
  const tried = server.protocols.length;
  while (server.protocols.length === tried) await clock.advance(100); // it has just failed again
  server.down = false;
  server.sockets = "fail"; // for a moment longer
  toSend.push(save);
  one.pump();
  await clock.advance(1000);
  expect(connections.at(-1)).toBe("longpoll");
  server.sockets = "open";
  await clock.advance(4000);
  expect(connections.at(-1)).toBe("push");
});

test("a line on which the engine hears nothing is let go, and another is opened", async () => {
  const one = open();
  await clock.advance(100);
  server.silent = true;
  one.wake(true);
  expect(server.open).toBe(0);
  server.silent = false;
  await clock.advance(100);
  expect(channels).toEqual(["push", "offline", "push"]);
  expect(server.open).toBe(1);
});

test("offline and online as the browser says them", async () => {
  open();
  await clock.advance(100);
  page.isOnline = false;
  transport!.lose();
  expect(channels.at(-1)).toBe("offline");
  expect(server.open).toBe(0);
  expect(connections.at(-1)).toBe("offline");
  await clock.advance(5000);
  page.isOnline = true;
  transport!.wake(true);
  await clock.advance(50);
  expect(channels.at(-1)).toBe("push");
});

test("a browser that is wrong about being offline is not believed for ever", async () => {
  page.isOnline = false; // as with a server on this very machine
  open();
  expect(channels).toEqual(["offline"]);
  await clock.advance(40_000);
  expect(channels.at(-1)).toBe("push");
});

test("a request out of time is answered as lost; one that outlives the page is kept alive", async () => {
  server.sockets = "fail";
  server.silent = true;
  open();
  await clock.advance(10);
  toSend.push(save);
  transport!.pump();
  await clock.advance(10_000);
  expect(answers).toContain(0);
  page.isVisible = false;
  toSend.push(save);
  transport!.pump();
  await settle();
  expect(server.requests.at(-1)).toMatchObject({ method: "POST", keepalive: true });
});

test("401: a function is asked for another token, once at once, then ever more rarely", async () => {
  let asked = 0;
  open({ token: () => `t${++asked}` });
  await clock.advance(10);
  expect(asked).toBe(1);
  transport!.authorize();
  await clock.advance(10);
  expect([asked, authorized]).toEqual([2, 1]);
  expect(problems).toEqual([]);
  transport!.authorize();
  await clock.advance(1000);
  expect([asked, authorized]).toEqual([2, 1]);
  expect(problems).toEqual(["token: sign in again"]);
  await clock.advance(60_000);
  expect([asked, authorized]).toEqual([3, 2]);
});

test("4401: the token has expired; the next socket has another", async () => {
  let asked = 0;
  open({ token: () => `t${++asked}` });
  await clock.advance(100);
  server.stop(4401);
  await clock.advance(1000);
  expect(server.protocols.map(([, bearer]) => bearer)).toEqual(["bearer.t1", "bearer.t2"]);
});

test("a token function that fails is asked again, and the page is told", async () => {
  let asked = 0;
  open({
    token: async () => {
      if (++asked === 1) throw new Error("signed out");
      return "t";
    },
  });
  await clock.advance(10_000);
  expect(problems[0]).toContain("signed out");
  expect(connections.at(-1)).toBe("push");
});

test("stopped means stopped: no timer, no socket, no request is left", async () => {
  open();
  await clock.advance(100);
  transport!.stop();
  const [sockets, requests] = [server.protocols.length, server.requests.length];
  server.stop();
  await clock.advance(10 * 60_000);
  expect([server.open, server.protocols.length, server.requests.length]).toEqual([
    0,
    sockets,
    requests,
  ]);
});

// ---- With the engine ----------------------------------------------------------------------

test("every rung carries edits both ways", async () => {
  const tab = await Tab.open(new FakeBrowser(), server);
  await clock.advance(100);
  expect(tab.status).toMatchObject({ connection: "push", phase: "live" });
  const steps: [string, () => void, Connection][] = [
    ["push", () => {}, "push"],
    ["longpoll", () => ((server.sockets = "fail"), server.stop()), "longpoll"],
    ["poll", () => (server.cutAfterMs = 5000), "poll"],
  ];
  for (const [name, change, connection] of steps) {
    change();
    await clock.advance(30_000);
    expect(tab.status.connection, name).toBe(connection);
    tab.list.add(`mine by ${name}`);
    await clock.advance(1000);
    expect(server.rows.at(-1)?.op["imageId"]).toBe(`mine by ${name}`);
    server.write({ type: "ADD", instanceId: `theirs-${name}`, imageId: "t" });
    await clock.advance(5000); // SEMANTICS 9: seen within 5 s
    expect(tab.list.item(`theirs-${name}`).snapshot(), name).toBeDefined();
  }
  expect(tab.status.pending).toBe(0);
});

test("a lost line is noticed by the heartbeat, and nothing is lost", async () => {
  const tab = await Tab.open(new FakeBrowser(), server);
  await clock.advance(100);
  server.silent = true;
  tab.list.add("into the void");
  await clock.advance(90_000);
  server.silent = false;
  await clock.advance(60_000);
  expect(server.rows.map(({ op }) => op["imageId"])).toEqual(["into the void"]);
  expect(tab.status).toMatchObject({ pending: 0, connection: "push" });
});

test("idle on the push channel nothing is requested", async () => {
  const tab = await Tab.open(new FakeBrowser(), server);
  tab.list.add("p");
  await clock.advance(5000);
  const requests = server.requests.length;
  await clock.advance(60 * 60_000);
  expect(server.requests.length).toBe(requests);
  expect(server.frames.filter(({ type }) => type === "SAVE")).toHaveLength(1);
});

test("aws-amplify/amplify-flutter#4131: 401 in the middle: the queue waits, and goes when there is a token", async () => {
  let asked = 0;
  server.sockets = "fail";
  const tab = await Tab.open(new FakeBrowser(), server, { token: () => `t${++asked}` });
  await clock.advance(100);
  server.status = 401;
  tab.list.add("p");
  await clock.advance(5000);
  expect(tab.status.pending).toBe(1);
  server.status = 200;
  await clock.advance(120_000);
  expect(asked).toBeGreaterThan(1);
  expect(tab.status.pending).toBe(0);
});
