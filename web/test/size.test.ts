/** What a page pays for the package, and what the package promises its bundler. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, type Plugin, type Rolldown } from "vite";
import { expect, test } from "vitest";

/** Of the applications below, minified, gzip -9; React and core.wasm are not in them. */
const BUDGET = 9 * 1024;
const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const manifest = JSON.parse(readFileSync(at("../package.json"), "utf8")) as Record<string, unknown>;

/** An application that uses openList and every hook there is; and one without React. */
const ALONE = `
  import { openList } from "${at("../src/index.ts")}";
  console.log(openList);`;
const WHOLE = `${ALONE}
  import * as react from "${at("../src/react.ts")}";
  console.log(react.useReadable, react.useItems, react.useIds, react.useItem,
    react.useReceipt, react.useDraft);`;

/** What Vite makes of it, with its own settings. */
async function bundled(app: string): Promise<Rolldown.OutputChunk & { readonly gzipped: number }> {
  const inMemory: Plugin = {
    name: "app",
    resolveId: (id) => (id === "app" ? "\0app" : undefined),
    load: (id) => (id === "\0app" ? app : undefined),
  };
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
  return Object.assign(chunk!, { gzipped: gzipSync(chunk!.code, { level: 9 }).length });
}

test(`openList and the React binding: at most ${BUDGET} bytes`, async () => {
  for (const hook of Object.keys(await import("../src/react.js")))
    expect(WHOLE, "the application uses every hook").toContain(`react.${hook}`);
  const [alone, whole] = [await bundled(ALONE), await bundled(WHOLE)];
  const parts = Object.entries(whole.modules)
    .map(([id, { renderedLength }]) => [id.replace(/^.*\//, ""), renderedLength] as const)
    .filter(([id]) => id.endsWith(".ts"))
    .sort(([, a], [, b]) => b - a);
  const sum = parts.reduce((sum, [, length]) => sum + length, 0);
  const shares = parts.map(([id, length]) => `${id} ${Math.round((length / sum) * 100)} %`);
  console.log(
    `tidemark: ${whole.gzipped} bytes gzipped (${whole.code.length} minified), ` +
      `${alone.gzipped} without React: ${shares.join(", ")}`,
  );
  expect(alone.gzipped).toBeGreaterThan(3000);
  expect(whole.gzipped).toBeLessThanOrEqual(BUDGET);
});

test("no dependency, no side effect, five entries", () => {
  expect(manifest["dependencies"]).toBeUndefined();
  expect(manifest["sideEffects"]).toBe(false);
  expect(Object.keys(manifest["exports"] as object)).toEqual([
    ".",
    "./react",
    "./gateway",
    "./rescue",
    "./core.wasm",
  ]);
});
