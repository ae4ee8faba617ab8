// The real daemon above a shim that counts, fails and kills at its calls; and what its
// database holds.
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const program = resolve(process.env.TIDEMARK ?? "build/release/tidemark");
const tools = resolve(process.env.CRASH_TOOLS ?? "build/crash");

export const WRITE = 1, SYNC = 2, TRUNCATE = 4, NAME = 8, ANY = 15;
export const KILL_BEFORE = 1, KILL_AFTER = 2, SHORT = 3;
export const errno = (number) => 1000 + number;
export const EIO = errno(5), ENOSPC = errno(28), EROFS = errno(30);

/** The file through which a shim is told what to do (shim.c, `control`). */
export class Shim {
  constructor(path) {
    this.path = path;
    writeFileSync(this.path, Buffer.alloc(64));
    this.fd = openSync(this.path, "r+");
  }
  #get(field) {
    const word = Buffer.alloc(8);
    readSync(this.fd, word, 0, 8, field * 8);
    return Number(word.readBigUInt64LE());
  }
  #set(field, value) {
    const word = Buffer.alloc(8);
    word.writeBigUInt64LE(BigInt(value));
    writeSync(this.fd, word, 0, 8, field * 8);
  }
  get calls() { return this.#get(0); }
  get struck() { return this.#get(1); }
  /** Count calls of these kinds from now on; do `action` at the at-th, `times` times. */
  arm({ kinds = ANY, at = 0, times = 1, action = KILL_BEFORE }) {
    for (const [field, value] of [[2, 0], [3, at], [4, times], [5, action], [0, 0], [1, 0]]) {
      this.#set(field, value);
    }
    this.#set(2, kinds);
  }
  disarm() { this.#set(2, 0); }
  close() { closeSync(this.fd); }
}

/** Runs a program to its end: what it said, and how it ended (a code or a signal). */
export function run(command, args, { shim, timeout = 120000 } = {}) {
  const env = { ...process.env };
  if (shim) Object.assign(env, { LD_PRELOAD: join(tools, "shim.so"), TM_SHIM: shim.path });
  const child = spawn(command, args, { env, timeout, killSignal: "SIGKILL" });
  let out = "", err = "";
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  const ended = new Promise((done, failed) => {
    child.once("error", failed);
    child.once("close", (code, signal) => done({ code: code ?? signal, out, err }));
  });
  return Object.assign(ended, { child });
}

export const tidemark = (args, options) => run(program, args, options);

export class Daemon {
  port = 0;
  starts = 0;

  constructor({ data } = {}) {
    this.home = mkdtempSync(join(tmpdir(), "tidemark-crash-"));
    this.data = data ?? join(this.home, "data");
    this.shim = new Shim(join(this.home, "shim"));
  }
  get database() { return join(this.data, "tidemark.db"); }
  get running() { return this.child !== undefined; }

  /** Starts it; true once it listens, false if it ended before. `line` hears its log. */
  async start({ line = () => {} } = {}) {
    const env = { ...process.env, LD_PRELOAD: join(tools, "shim.so"), TM_SHIM: this.shim.path };
    const args = ["serve", "--user", "demo", "--data", this.data, "--listen", `127.0.0.1:${this.port}`];
    const child = spawn(program, [...args, "--log-level", "debug"], { env, stdio: ["ignore", "ignore", "pipe"] });
    this.child = child;
    this.said = "";
    this.starts++;
    this.gone = new Promise((done) => {
      child.once("close", (code, signal) => {
        if (this.child === child) this.child = undefined;
        this.ended = code ?? signal;
        done(this.ended);
      });
    });
    let rest = "";
    return await new Promise((done) => {
      this.gone.then(() => done(false));
      child.stderr.on("data", (chunk) => {
        this.said += chunk;
        rest += chunk;
        for (let end; (end = rest.indexOf("\n")) >= 0; rest = rest.slice(end + 1)) {
          const text = rest.slice(0, end);
          const address = /"listening".*127\.0\.0\.1:(\d+)/.exec(text);
          line(text);
          if (!address) continue;
          this.port = Number(address[1]);
          done(true);
        }
      });
    });
  }
  async end(signal = "SIGKILL") {
    this.child?.kill(signal);
    return await this.gone;
  }
  /** integrity_check, and every operation: Map list -> [id of seq 1, id of seq 2, ...]. */
  async look(database = this.database) {
    const { code, out, err } = await run(join(tools, "look"), [database]);
    if (code !== 0) throw new Error(`look: ${code} ${err}`);
    const [integrity, ...rows] = out.trimEnd().split("\n");
    if (integrity !== "ok") throw new Error(`integrity_check: ${integrity}`);
    const lists = new Map(), seen = new Set();
    for (const row of rows) {
      const [list, seq, id] = row.split("\t");
      if (!lists.has(list)) lists.set(list, []);
      const ids = lists.get(list);
      if (Number(seq) !== ids.length + 1) throw new Error(`${list}: seq ${seq} after ${ids.length}`);
      if (seen.has(id)) throw new Error(`${list}: ${id} is twice in the log`);
      seen.add(id);
      ids.push(id);
    }
    return lists;
  }
  async verify(data = this.data) {
    const { code, out, err } = await tidemark(["verify", "--data", data]);
    if (code !== 0) throw new Error(`tidemark verify: ${code} ${out}${err}`);
  }
  async close() {
    if (this.running) await this.end();
    this.shim.close();
    rmSync(this.home, { recursive: true, force: true });
  }
}
