/** core.ts - the shipped core.wasm, compiled once. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const wasm = join(import.meta.dirname, "../../build/wasm/core.wasm");
let compiled: WebAssembly.Module | undefined;

export function core(): WebAssembly.Module {
  if (!existsSync(wasm))
    throw new Error("build/wasm/core.wasm is not there: `make build` makes it");
  compiled ??= new WebAssembly.Module(new Uint8Array(readFileSync(wasm)));
  return compiled;
}
