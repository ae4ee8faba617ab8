// Chromium: one browser per file of tests, one context per device, one page per tab.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, watch } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const program = process.env.CHROMIUM ?? "/usr/bin/chromium";
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  "--window-size=1280,800",
];

export const launch = () =>
  chromium.launch({ executablePath: program, headless: true, args: flags });

/**
 * A browser with a profile on disk that can be killed: a process of its own, found by the
 * port that it writes into its profile.
 */
export class Profile {
  #child;

  static async make() {
    const profile = new Profile();
    profile.directory = await mkdtemp(join(tmpdir(), "tidemark-profile-"));
    return profile;
  }

  /** Starts the browser on this profile and returns its only context. */
  async up() {
    const file = join(this.directory, "DevToolsActivePort");
    await rm(file, { force: true });
    const heard = new AbortController();
    const changes = watch(this.directory, { signal: heard.signal });
    this.#child = spawn(
      program,
      [
        ...flags,
        "--headless=new",
        "--remote-debugging-port=0",
        `--user-data-dir=${this.directory}`,
        // The new tab page swaps its frames while it loads; who attaches then waits for ever.
        "about:blank",
      ],
      { stdio: "ignore" },
    );
    let port = await readPort(file);
    if (!port) {
      for await (const _ of changes) {
        port = await readPort(file);
        if (port) break;
      }
    }
    heard.abort();
    this.browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
    return this.browser.contexts()[0];
  }

  /** kill -9, as a crash or a power cut of the browser would. */
  async kill() {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
    await this.browser?.close().catch(() => {});
  }

  async end() {
    if (this.#child && this.#child.exitCode === null && this.#child.signalCode === null) {
      await this.kill();
    }
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function readPort(file) {
  if (!existsSync(file)) return undefined;
  const [port, path] = (await readFile(file, "utf8")).split("\n");
  return path ? Number(port) : undefined;
}
