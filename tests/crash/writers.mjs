// Browsers without a screen: each saves to a list without pause, over its own connection,
// and remembers here, outside the daemon, what was acknowledged.
import { Agent, request } from "node:http";

let made = 0;

function post(agent, port, path, body) {
  return new Promise((done, failed) => {
    const text = JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const call = request({ host: "127.0.0.1", port, path, method: "POST", agent, headers, timeout: 5000 });
    call.once("timeout", () => call.destroy(new Error("no answer")));
    call.once("error", failed);
    call.once("response", (response) => {
      let said = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (said += chunk));
      response.once("error", failed);
      response.once("close", () => {
        if (!response.complete) return failed(new Error("cut off"));
        done({ status: response.statusCode, body: said });
      });
    });
    call.end(text);
  });
}

export function get(port, path) {
  return new Promise((done, failed) => {
    const call = request({ host: "127.0.0.1", port, path, agent: false, timeout: 5000 }, (response) => {
      let said = "";
      response.on("data", (chunk) => (said += chunk));
      response.once("error", failed);
      response.once("end", () => done({ status: response.statusCode, body: said }));
    });
    call.once("timeout", () => call.destroy(new Error("no answer")));
    call.once("error", failed);
    call.end();
  });
}

export class Writer {
  version = 0;
  queue = [];
  acked = new Map(); // id -> seq
  sent = new Set(); // every id that ever went out

  constructor(daemon, list) {
    this.daemon = daemon;
    this.list = list;
    this.browserId = `b-${++made}`;
    this.agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }
  make(count) {
    for (let i = 0; i < count; i++) {
      this.version++;
      const id = `${this.browserId}-${this.version}`;
      const op = { id, instanceId: `i-${this.browserId}-${this.version % 50}`, timestamp: Date.now(), logical: 0 };
      if (this.version <= 50) Object.assign(op, { type: "ADD", imageId: "img-1" });
      else Object.assign(op, { type: "UPDATE_METADATA", data: { description: "d".repeat(this.version % 200) } });
      this.queue.push({ ...op, browserId: this.browserId, version: this.version });
    }
  }
  /** One push of what is queued. Returns its HTTP status, 0 = no answer. */
  async push(most = 100) {
    const operations = this.queue.slice(0, most);
    for (const op of operations) this.sent.add(op.id);
    let answer;
    try {
      answer = await post(this.agent, this.daemon.port, `/v1/lists/${this.list}/operations`, { user: "demo", operations });
    } catch {
      return 0;
    }
    if (answer.status !== 200) return answer.status;
    const { acks, stop } = JSON.parse(answer.body);
    for (const { id, status, seq, code } of acks) {
      if (status === "rejected") throw new Error(`${id} was rejected: ${code}`);
      this.acked.set(id, seq);
    }
    this.queue = this.queue.filter((op) => !this.acked.has(op.id));
    // Nobody else uses this browserId: a hole or a fork can only be a loss.
    if (stop && stop.code !== "retry") throw new Error(`${this.browserId}: ${stop.code}, expected ${stop.expected}`);
    return 200;
  }
  /** Saves until told to stop, whatever becomes of the daemon. */
  async work(going) {
    while (going()) {
      if (this.queue.length < 20) this.make(1 + (this.version % 7));
      const status = await this.push();
      if (status !== 200) await new Promise((done) => setTimeout(done, 5));
    }
  }
  close() {
    this.agent.destroy();
  }
}

/** What was acknowledged before `lists` was read is there, under its seq, and nothing that was never sent. */
export function compare(writers, acked, lists) {
  for (const [id, { list, seq }] of acked) {
    if (lists.get(list)?.[seq - 1] !== id) throw new Error(`${id} was acknowledged as ${seq} of ${list} and is not there`);
  }
  for (const [list, ids] of lists) {
    const sent = writers.filter((writer) => writer.list === list);
    for (const id of ids) {
      if (!sent.some((writer) => writer.sent.has(id))) throw new Error(`${id} was never sent`);
    }
  }
}

export function acknowledged(writers) {
  const all = new Map();
  for (const { acked, list } of writers) for (const [id, seq] of acked) all.set(id, { list, seq });
  return all;
}
