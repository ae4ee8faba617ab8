/** What a page pays for the package, and what the package promises its bundler. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, type Plugin, type Rolldown } from "vite";
import { expect, test } from "vitest";

/** Of the application below, minified, gzip -9; React and core.wasm are not in it. */
const BUDGET = 9_550;
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const manifest = JSON.parse(readFileSync(at("../package.json"), "utf8")) as Record<string, unknown>;

/** An application that uses openList and every hook there is. */
const APP = `
  import { openList } from "${at("../src/index.ts")}";
  import * as react from "${at("../src/react.ts")}";
  console.log(openList, react.useReadable, react.useItems, react.useIds, react.useItem,
    react.useReceipt, react.useDraft);`;

const inMemory: Plugin = {
  name: "app",
  resolveId: (id) => (id === "app" ? "\0app" : undefined),
  load: (id) => (id === "\0app" ? APP : undefined),
};

test(`openList and the React binding: at most ${BUDGET} bytes`, async () => {
  const { output } = (await build({
    configFile: false,
    logLevel: "silent",
    plugins: [inMemory],
    build: {
      write: false,
      modulePreload: false,
      rolldownOptions: { input: "app", external: ["react"] },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = output.filter((one) => one.type === "chunk");
  expect(chunks).toHaveLength(1); // nothing comes later
  const [chunk] = chunks;
  const code = chunk!.code;
  const hooks = Object.keys(await import("../src/react.js"));
  for (const hook of hooks)
    expect(APP, "the application uses every hook").toContain(`react.${hook}`);
  const size = gzipSync(code, { level: 9 }).length;
  const parts = Object.entries(chunk!.modules)
    .map(([id, { renderedLength }]) => [id.replace(/^.*\//, ""), renderedLength] as const)
    .filter(([id]) => id.endsWith(".ts"))
    .sort(([, a], [, b]) => b - a);
  const whole = parts.reduce((sum, [, length]) => sum + length, 0);
  const shares = parts.map(([id, length]) => `${id} ${Math.round((length / whole) * 100)} %`);
  console.log(`tidemark: ${size} bytes gzipped (${code.length} minified): ${shares.join(", ")}`);
  expect(size).toBeGreaterThan(3000);
  expect(size).toBeLessThanOrEqual(BUDGET);
});

test("no dependency, no side effect, four entries", () => {
  expect(manifest["dependencies"]).toBeUndefined();
  expect(manifest["sideEffects"]).toBe(false);
  expect(Object.keys(manifest["exports"] as object)).toEqual([
    ".",
    "./react",
    "./rescue",
    "./core.wasm",
  ]);
});
