/**
 * Adds an image to a list from Node, and prints the list:
 *
 *     node add.mjs --image img-7 [--description TEXT] [--url http://127.0.0.1:8080]
 *                  [--user demo] [--list selected-images] [--store FILE] [--wait SECONDS]
 *
 * With --store, what could not be sent is kept in FILE, and goes out with the next run. Without
 * it all is in memory, and an edit that the server did not get is lost with the process.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { openList } from "tidemark";
import WebSocket from "ws"; // Node 22 has one of its own
import { fileDisk } from "./file-disk.mjs";

const { values: given } = parseArgs({
  options: {
    image: { type: "string" },
    description: { type: "string", default: "" },
    url: { type: "string", default: "http://127.0.0.1:8080" },
    user: { type: "string", default: "demo" },
    list: { type: "string", default: "selected-images" },
    store: { type: "string" },
    wait: { type: "string", default: "3" },
  },
});
if (!given.image) throw new Error("which image? --image img-7");

const photos = await openList({
  url: given.url,
  user: given.user,
  list: given.list,
  core: await WebAssembly.compile(
    await readFile(new URL(import.meta.resolve("tidemark/core.wasm"))),
  ),
  socket(url, protocols) {
    const socket = new WebSocket(url, protocols);
    socket.onerror = () => {}; // onclose comes next, and is heard
    return socket;
  },
  storage: { disk: async () => given.store && fileDisk(given.store) },
});
photos.onProblem(({ detail }) => console.error(detail));

photos.add(given.image, { description: given.description });

// The server has it in milliseconds, or is not there. A disk has it by now, or with close().
const patience = AbortSignal.timeout(Number(given.wait) * 1000);
await Promise.race([
  photos.flush(),
  new Promise((over) => patience.addEventListener("abort", over)),
]);

for (const { imageId, description = "" } of photos.items.snapshot())
  console.log(imageId, description);
const { pending } = photos.status.snapshot();
console.log(
  pending === 0
    ? "all saved"
    : `${pending} not sent${given.store ? `, kept in ${given.store}` : ""}`,
);
await photos.close();
