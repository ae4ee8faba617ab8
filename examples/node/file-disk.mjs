/**
 * A disk for `storage.disk`: all records as one JSON file, for one process at a time. Each
 * commit writes a new file beside it, waits until that is on the disk, and puts it in place.
 */
import { open, readFile, rename } from "node:fs/promises";
import { decide } from "tidemark";

export async function fileDisk(path) {
  const text = await readFile(path, "utf8").catch((error) => {
    if (error.code !== "ENOENT") throw error;
    return "[]";
  });
  const records = new Map(JSON.parse(text));

  const write = {
    put: (to, key, value) => to.set(key, value),
    del: (to, key) => to.delete(key),
    clear,
  };
  function clear(to, prefix) {
    for (const key of [...to.keys()]) if (key.startsWith(prefix)) to.delete(key);
  }

  return {
    load: async () => [...records],
    async commit(transaction) {
      const { writes, ...committed } = decide(transaction, records.get("state"));
      const next = new Map(records);
      for (const [verb, ...rest] of writes) write[verb](next, ...rest);
      const file = await open(`${path}.new`, "w");
      await file.writeFile(JSON.stringify([...next]));
      await file.sync();
      await file.close();
      await rename(`${path}.new`, path);
      records.clear();
      next.forEach((value, key) => records.set(key, value));
      return committed;
    },
    close() {},
  };
}
