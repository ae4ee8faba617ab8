/** core.ts - the shipped core.wasm, compiled once. */
import { existsSync, readFileSync } from "node:fs";

const wasm = new URL("../../build/wasm/core.wasm", import.meta.url);
let compiled: WebAssembly.Module | undefined;

export function core(): WebAssembly.Module {
  if (!existsSync(wasm)) throw new Error("build/wasm/core.wasm is not there: `make build` makes it");
  compiled ??= new WebAssembly.Module(new Uint8Array(readFileSync(wasm)));
  return compiled;
}
