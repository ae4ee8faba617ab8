// npm-tree.mjs - exits 0 if node_modules is what package-lock.json says, by npm's own
// record of what it installed. Reads two files, so it costs milliseconds.
import { existsSync, readFileSync } from "node:fs";

const read = (path) => JSON.parse(readFileSync(path, "utf8")).packages;
const record = "node_modules/.package-lock.json";
if (!existsSync(record)) process.exit(1);
const wanted = read("package-lock.json");
const there = read(record);
for (const [path, { version, link, optional }] of Object.entries(wanted)) {
  if (!path.includes("node_modules/") || optional) continue; // a workspace, or not for us
  if (!there[path] || !existsSync(path)) process.exit(1);
  if (!link && there[path].version !== version) process.exit(1);
}
