import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

/** Writes sw.js: what the page is made of, so that it opens without a network. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    generateBundle(_options, bundle) {
      const { ["sw.js"]: worker, ...rest } = bundle;
      if (worker?.type !== "chunk") throw new Error("no service worker was built");
      const built = Object.keys(rest).filter((name) => name !== "index.html");
      const fixed = ["icon.svg", "labeler.webmanifest"];
      const files = ["/", ...fixed.map((name) => `/${name}`), ...built.map((name) => `/${name}`)];
      // The hashed names change with their content; the others are hashed here.
      const version = createHash("sha256").update(files.sort().join("\n"));
      for (const name of ["index.html", ...fixed.map((name) => `public/${name}`)]) {
        version.update(readFileSync(new URL(name, import.meta.url)));
      }
      worker.code = worker.code
        .replace("VERSION", version.digest("hex").slice(0, 16))
        .replace(/\[[`"']FILES[`"']\]/, JSON.stringify(files));
    },
  };
}

const target = "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [serviceWorker()],
  // Nothing inline: the page's Content-Security-Policy takes scripts, styles and wasm as files.
  build: {
    target: "es2022",
    sourcemap: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: "index.html", sw: "src/sw.js" },
      output: {
        entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  // The daemon answers its own name alone (make run).
  server: {
    proxy: { "/v1": { target, ws: true, changeOrigin: true, headers: { origin: target } } },
  },
});
