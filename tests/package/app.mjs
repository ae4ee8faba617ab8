// An application made of the packed tarball alone: installed into a fresh directory, built by
// Vite, served beside a daemon as one origin.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build, preview } from "vite";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const run = promisify(execFile);

/** The tarball that `npm publish` would send, made in `directory`; and the files in it. */
export async function pack(directory) {
  await run("npm", ["run", "build", "-w", "web"], { cwd: root });
  const { stdout } = await run(
    "npm",
    ["pack", "-w", "web", "--json", "--ignore-scripts", "--pack-destination", directory],
    { cwd: root },
  );
  const [{ filename, files }] = JSON.parse(stdout);
  return { tarball: join(directory, filename), files: files.map(({ path }) => path) };
}

/**
 * A fresh directory with the tarball installed, without a network: npm unpacks it, and React
 * and its types, which an application has of its own, are those of this repository.
 */
export async function freshApp(tarball) {
  const directory = await mkdtemp(join(tmpdir(), "tidemark-app-"));
  const write = (path, text) => writeFile(join(directory, path), text);
  await write(
    "package.json",
    JSON.stringify({
      name: "app",
      private: true,
      type: "module",
      dependencies: { tidemark: `file:${tarball}` },
    }),
  );
  await run("npm", ["install", "--offline", "--ignore-scripts", "--no-package-lock"], {
    cwd: directory,
  });
  for (const name of [
    "react",
    "react-dom",
    "scheduler",
    "csstype",
    "@types/react",
    "@types/react-dom",
  ]) {
    await mkdir(dirname(join(directory, "node_modules", name)), { recursive: true });
    await symlink(join(root, "node_modules", name), join(directory, "node_modules", name));
  }
  await write(
    "index.html",
    `<!doctype html><main id="page"></main><script type="module" src="/main.tsx"></script>`,
  );
  await write(
    "tsconfig.json",
    JSON.stringify({
      compilerOptions: {
        target: "es2022",
        lib: ["es2023", "dom", "dom.iterable"],
        module: "esnext",
        moduleResolution: "bundler",
        jsx: "react-jsx",
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
      },
      include: ["*.tsx"],
    }),
  );
  return { directory, write, end: () => rm(directory, { recursive: true, force: true }) };
}

/** tsc, without skipLibCheck: the package's declarations are read, too. */
export const typecheck = (directory) => run(join(root, "node_modules/.bin/tsc"), ["-p", directory]);

/** What Vite makes of it with its own settings. */
export async function built(directory, configFile = false) {
  const made = await build({
    root: directory,
    configFile,
    logLevel: "silent",
    build: { outDir: join(directory, "dist") },
  });
  return made.output;
}

/** Serves dist/, and passes on what is asked of the daemon, at any port that is free. */
export async function serve(directory, daemon) {
  const target = daemon.url.replace(/\/$/, "");
  const proxy = { "/v1": { target, ws: true, changeOrigin: true, headers: { origin: target } } };
  const server = await preview({
    root: directory,
    configFile: false,
    logLevel: "silent",
    build: { outDir: join(directory, "dist") },
    preview: { host: "127.0.0.1", port: 0, proxy },
  });
  const { port } = server.httpServer.address();
  return { url: `http://127.0.0.1:${port}/`, end: () => server.close() };
}
