// wasm.mjs - puts core.wasm beside the compiled package, where core.js looks for it.
import { copyFileSync, existsSync } from "node:fs";

const core = new URL("../../build/wasm/core.wasm", import.meta.url);
if (!existsSync(core)) {
  console.error("build/wasm/core.wasm is not there: `make build` makes it first");
  process.exit(1);
}
copyFileSync(core, new URL("../dist/core.wasm", import.meta.url));
