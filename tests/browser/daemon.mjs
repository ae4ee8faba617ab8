// The real daemon, started on a free loopback port and stopped by the pid that was started.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** TIDEMARK names another build. */
const program =
  process.env.TIDEMARK ?? fileURLToPath(new URL("../../build/release/tidemark", import.meta.url));

export class Daemon {
  #child;
  #said = "";
  port = 0;

  /** A fresh, empty server. `photos`: a directory to serve instead of the drawn set. */
  static async start({ photos, user = "demo" } = {}) {
    const daemon = new Daemon();
    daemon.data = await mkdtemp(join(tmpdir(), "tidemark-browser-"));
    daemon.user = user;
    daemon.photos = photos;
    await daemon.up();
    return daemon;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Starts it (again: on the same port and the same data). */
  async up() {
    const args = ["serve", "--user", this.user, "--data", this.data];
    args.push("--listen", `127.0.0.1:${this.port}`);
    if (this.photos) args.push("--photos", this.photos);
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#said = "";
    await new Promise((ready, failed) => {
      const hear = (chunk) => {
        this.#said += chunk;
        const address = /http:\/\/127\.0\.0\.1:(\d+)/.exec(this.#said);
        if (!address) return;
        this.port = Number(address[1]);
        ready();
      };
      child.stdout.on("data", hear);
      child.stderr.on("data", hear);
      child.once("error", failed);
      child.once("exit", (code, signal) =>
        failed(new Error(`the daemon ended (${signal ?? code}) and said: ${this.#said}`)),
      );
    });
  }

  /** Ends the process with a signal and waits until it is gone. */
  async down(signal = "SIGTERM") {
    const child = this.#child;
    if (signal === "SIGSTOP") return void child.kill(signal); // it stays, and does nothing
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode;
    const gone = once(child, "exit");
    child.kill(signal);
    const [code] = await gone;
    return code;
  }

  /** Goes on after SIGSTOP. */
  resume() {
    this.#child?.kill("SIGCONT");
  }

  async end() {
    this.resume();
    await this.down();
    await rm(this.data, { recursive: true, force: true });
  }

  /** What a subcommand says about this server's data, as text. */
  async tell(command, ...args) {
    const child = spawn(program, [command, "--data", this.data, ...args]);
    let out = "";
    let error = "";
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (error += chunk));
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`tidemark ${command} ended with ${code}: ${error}${out}`);
    return out;
  }
}
