// sqlite-server.mjs PORT DIRECTORY - what a sane person writes by hand: node, ws and
// better-sqlite3. Last writer wins per field, by time and then by browser; one table of
// operations, WAL, synchronous = FULL; what one turn of the loop brings is one transaction,
// and nobody is answered or told before it is durable. It speaks as much of Tidemark's
// WebSocket as bench/kit/crowd.c needs, and keeps every list's state in memory.
import Database from "better-sqlite3";
import { WebSocketServer } from "ws";

const [port, directory] = [Number(process.argv[2]), process.argv[3]];
const db = new Database(`${directory}/lists.db`);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.exec(`CREATE TABLE operations (
  list TEXT NOT NULL, seq INTEGER NOT NULL, operation TEXT NOT NULL,
  PRIMARY KEY (list, seq)) WITHOUT ROWID`);
const insert = db.prepare("INSERT INTO operations VALUES (?, ?, ?)");
const [begin, commit] = [db.prepare("BEGIN IMMEDIATE"), db.prepare("COMMIT")];

const lists = new Map();
function listOf(name) {
  let list = lists.get(name);
  if (list === undefined) {
    list = { name, seq: 0, items: new Map(), dead: new Set(), ids: new Map(), conns: new Set() };
    lists.set(name, list);
  }
  return list;
}

function apply(list, op) {
  if (op.type === "DELETE") {
    list.items.delete(op.instanceId);
    list.dead.add(op.instanceId);
    return;
  }
  if (list.dead.has(op.instanceId)) return;
  let item = list.items.get(op.instanceId);
  if (item === undefined) {
    item = { imageId: undefined, fields: new Map() };
    list.items.set(op.instanceId, item);
  }
  if (op.type === "ADD") item.imageId = op.imageId;
  for (const [field, value] of Object.entries(op.data ?? {})) {
    const old = item.fields.get(field);
    const wins =
      old === undefined ||
      op.timestamp > old.timestamp ||
      (op.timestamp === old.timestamp && op.browserId >= old.browserId);
    if (wins) {
      item.fields.set(field, { value, timestamp: op.timestamp, browserId: op.browserId });
    }
  }
}

let waiting = [];
let due = false;

/** All that came in this turn: one transaction, then the answers. */
function save() {
  const now = waiting;
  waiting = [];
  due = false;
  const told = new Map(); // list -> [first, operations as text, by whom]
  const acks = now.map(() => []);
  begin.run();
  now.forEach(({ list, conn, message }, n) => {
    for (const op of message.operations) {
      const known = list.ids.get(op.id);
      if (known !== undefined) {
        acks[n].push({ id: op.id, status: "duplicate", seq: known });
        continue;
      }
      op.seq = ++list.seq;
      const text = JSON.stringify(op);
      insert.run(list.name, op.seq, text);
      list.ids.set(op.id, op.seq);
      acks[n].push({ id: op.id, status: "ok", seq: op.seq });
      let news = told.get(list);
      if (news === undefined) told.set(list, (news = []));
      news.push({ conn, text, op });
    }
  });
  commit.run();
  for (const [list, news] of told) {
    for (const { op } of news) apply(list, op);
    const from = list.seq - news.length + 1;
    const all = news.map(({ text }) => text).join(",");
    for (const conn of list.conns) {
      if (news.some((one) => one.conn === conn)) continue; // its SAVED has them
      conn.send(
        `{"type":"OPERATIONS","list":"${list.name}","from":${from},"version":${list.seq},` +
          `"operations":[${all}]}`,
      );
    }
  }
  now.forEach(({ list, conn, message }, n) => {
    const others = told.get(list)?.filter((one) => one.conn !== conn) ?? [];
    // With the last answer of this connection, what others saved beside it.
    const last = now.findLastIndex((one) => one.list === list && one.conn === conn) === n;
    const texts = last ? others.map(({ text }) => text).join(",") : "";
    conn.send(
      `{"type":"SAVED","list":"${list.name}","ref":${message.ref},"version":${list.seq},` +
        `"acks":${JSON.stringify(acks[n])},"operations":[${texts}]}`,
    );
  });
}

const server = new WebSocketServer({
  host: "127.0.0.1",
  port,
  perMessageDeflate: false,
  handleProtocols: () => "tidemark.v1",
});
server.on("connection", (conn) => {
  conn.on("message", (data) => {
    const message = JSON.parse(data.toString());
    const list = listOf(message.list);
    if (message.type === "SUBSCRIBE") {
      list.conns.add(conn);
      conn.on("close", () => list.conns.delete(conn));
      conn.send(`{"type":"SUBSCRIBED","list":"${list.name}","version":${list.seq}}`);
      return;
    }
    waiting.push({ list, conn, message });
    if (due) return;
    due = true;
    setImmediate(save);
  });
});
process.on("SIGTERM", () => process.exit(0));
