/** What a page pays for the package, and what the package promises its bundler. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, type Rolldown } from "vite";
import { expect, test } from "vitest";

const BUDGET = 12 * 1024; // minified, gzip -9, without core.wasm and without React
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const manifest = JSON.parse(readFileSync(at("../package.json"), "utf8")) as Record<string, unknown>;

/** As an application's bundler would: minified, React being the application's own. */
async function bundle(...entries: string[]): Promise<string> {
  const built = (await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "es2022",
      modulePreload: false,
      rolldownOptions: {
        input: entries.map((entry) => at(`../src/${entry}.ts`)),
        preserveEntrySignatures: "strict",
        external: ["react"],
      },
    },
  })) as Rolldown.RolldownOutput;
  return built.output.map((chunk) => ("code" in chunk ? chunk.code : "")).join("\n");
}

test("the package is at most 12 KB gzipped, with the React binding", async () => {
  const code = await bundle("index", "react");
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`tidemark and tidemark/react: ${size} bytes gzipped (${code.length} minified)`);
  expect(size).toBeGreaterThan(3000);
  expect(size).toBeLessThanOrEqual(BUDGET);
});

test("no dependency, no side effect, four entries", () => {
  expect(manifest["dependencies"]).toBeUndefined();
  expect(manifest["sideEffects"]).toBe(false);
  expect(Object.keys(manifest["exports"] as object)).toEqual([".", "./react", "./rescue", "./core.wasm"]);
});
