// What stands between browsers and the table: daemons, Redis, DynamoDB Local, each a process
// that can be killed, stopped and started again at the same address; and relays before them,
// whose connections can be cut.
import { execFile, execFileSync, spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { promisify } from "node:util";
export { join } from "node:path";

export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((found) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => found(port));
    });
  });
}

function listens(port) {
  return new Promise((answer) => {
    const socket = connect(port, "127.0.0.1", () => answer(true));
    socket.on("error", () => answer(false));
    socket.on("connect", () => socket.destroy());
  });
}

export class Part {
  kills = 0;
  stops = 0;

  /** `command(port)` gives [program, arguments, options]. */
  constructor(name, port, command) {
    Object.assign(this, { name, port, command });
  }
  get running() { return this.child !== undefined; }

  /** Starts it, and waits until it listens. */
  async start() {
    const [program, args, options] = this.command(this.port);
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], ...options });
    this.child = child;
    this.said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (this.said = (this.said + text).slice(-20000)));
    this.gone = new Promise((done) => {
      child.once("error", (error) => done(error.message));
      child.once("close", (code, signal) => {
        if (this.child === child) this.child = undefined;
        done(code ?? signal);
      });
    });
    for (const end = Date.now() + 60000; !(await listens(this.port)); await wait(20)) {
      if (!this.running || Date.now() > end) throw new Error(`${this.name} did not start: ${this.said}`);
    }
  }
  async end(signal) {
    this.child?.kill(signal);
    return await this.gone;
  }
  async kill() {
    if (!this.running) return;
    const ended = await this.end("SIGKILL");
    if (ended !== "SIGKILL") throw new Error(`${this.name} ended with ${ended}: ${this.said}`);
    this.kills++;
  }
  /** Stands still for a while, with all its connections open. */
  async pause(ms) {
    const { child } = this;
    if (!child?.kill("SIGSTOP")) return;
    this.stops++;
    await wait(ms);
    child.kill("SIGCONT");
  }
}

/** Passes each connection on to one of several ports: a load balancer of the simplest kind. */
export class Relay {
  pairs = new Set();
  cuts = 0;

  /** `pick()` gives the port for a connection. */
  constructor(pick) {
    this.pick = pick;
    this.server = createServer((from) => {
      const to = connect(this.pick(), "127.0.0.1");
      const pair = { from, to };
      this.pairs.add(pair);
      for (const [one, other] of [[from, to], [to, from]]) {
        one.setNoDelay(true);
        one.on("error", () => {});
        one.on("close", () => {
          this.pairs.delete(pair);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }
  open() {
    return new Promise((opened) => {
      this.server.listen(0, "127.0.0.1", () => {
        this.port = this.server.address().port;
        opened(this);
      });
    });
  }
  /** Cuts about one in `of` of its connections, in the middle of whatever they carry. */
  cut(of, dice) {
    for (const { from, to } of [...this.pairs]) {
      if (dice(of) > 0) continue;
      this.cuts++;
      from.resetAndDestroy();
      to.resetAndDestroy();
    }
  }
  close() {
    this.cut(1, () => 0);
    this.server.close();
  }
}

/** DynamoDB Local on a directory: what it stored it has again after a kill. */
export async function dynamodb(directory) {
  const home = execFileSync("tests/dynamodb/with-local.sh", ["--where"], { encoding: "utf8" }).trim();
  const java = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-Djava.library.path=./DynamoDBLocal_lib"];
  const local = ["-jar", "DynamoDBLocal.jar", "-dbPath", directory, "-sharedDb", "-disableTelemetry"];
  return new Part("DynamoDB Local", await freePort(), (port) => [
    "java",
    [...java, ...local, "-port", String(port)],
    { cwd: home },
  ]);
}

export async function redis() {
  return new Part("Redis", await freePort(), (port) => [
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    {},
  ]);
}

const program = process.env.TIDEMARK ?? "build/release/tidemark";
export const env = {
  PATH: process.env.PATH,
  AWS_ACCESS_KEY_ID: "tests",
  AWS_SECRET_ACCESS_KEY: "secret",
  AWS_REGION: "eu-central-1",
};

export async function daemon(number, { table, bell, host }) {
  return new Part(`daemon ${number}`, await freePort(), (port) => [
    program,
    ["serve", "--user", "demo", "--listen", `127.0.0.1:${port}`, "--allow-host", host, "--store", "dynamodb",
      "--dynamodb-endpoint", table, "--redis", bell],
    { env },
  ]);
}

/** Runs the program to its end, beside our relays: what it said. Throws if it ends badly. */
export async function tidemark(args) {
  const { stdout } = await promisify(execFile)(program, args, { env, maxBuffer: 1 << 28 });
  return stdout;
}
