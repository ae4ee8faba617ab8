// A daemon whose Redis is none: one that speaks something else, stands still, hangs up, or
// greets well and then tells nonsense. It must live, answer, and end well. Prints TAP.
import { createServer } from "node:net";
import { spawn } from "node:child_process";
import { env, wait } from "./parts.mjs";

const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const message = (text) => `*3\r\n${bulk("message")}${bulk("c")}${bulk(text)}`;
const greeted = "*3\r\n" + bulk("subscribe") + bulk("c") + ":1\r\n";

/** What is answered to the orders' line and to the ear's; `ear` is said once it has greeted. */
const rows = [
  ["says HTTP", { order: "HTTP/1.1 400 Bad Request\r\n\r\n" }],
  ["stands still", {}],
  ["hangs up", { close: true }],
  ["refuses", { order: "-NOAUTH Authentication required.\r\n" }],
  ["errs with controls", { order: "-ERR \u001b[31m\u0000\r\n" }],
  ["gives a huge array", { order: "+PONG\r\n", ear: greeted + "*2147483647\r\n" }],
  ["gives a deep array", { order: "+PONG\r\n", ear: greeted + "*1\r\n".repeat(100) }],
  ["gives a text without end", { order: "+PONG\r\n", ear: greeted + "$500000\r\n" + "x".repeat(300000) }],
  ["rings nonsense", {
    order: "+PONG\r\n",
    ear: greeted + message("1 . beat") + message("99999999999999999999 selected-images ann") + message("-1 selected-images ann") +
      message("9007199254740991 selected-images ann") + message("5 UPPER ann") + message("") + message("1 l") + ":5\r\n$-1\r\n*0\r\n",
    here: true,
  }],
];

async function meet([name, say]) {
  let met = 0;
  const sockets = new Set();
  const server = createServer((socket) => {
    met++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (bytes) => {
      if (say.close) return socket.destroy();
      const text = bytes.toString().includes("SUBSCRIBE") ? (say.ear ?? say.order) : say.order;
      if (text) socket.write(text);
      socket.on("data", () => socket.write("$-1\r\n"));
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const child = spawn(
    process.env.TIDEMARK ?? "build/release/tidemark",
    ["serve", "--user", "ann", "--listen", "127.0.0.1:0", "--store", "dynamodb", "--dynamodb-endpoint", "http://127.0.0.1:1",
      "--redis", `redis://127.0.0.1:${server.address().port}`],
    { env, stdio: ["ignore", "ignore", "pipe"] },
  );
  const ended = new Promise((done) => child.once("close", (code, signal) => done(code ?? signal)));
  let log = "";
  const url = await new Promise((found) => {
    ended.then(() => found(undefined));
    child.stderr.setEncoding("utf8").on("data", (text) => {
      log += text;
      const at = log.match(/"url":"([^"]+)\/"/);
      if (at) found(at[1]);
    });
  });
  let wrong = url ? "" : "it did not start";
  const wanted = say.here ? /doorbell here/ : name === "stands still" ? /listening/ : /doorbell away/;
  try {
    for (const end = Date.now() + 15000; !wrong && !(met >= 2 && wanted.test(log)); await wait(20)) {
      if (Date.now() > end) wrong = `it said nothing of it: ${log}`;
    }
    if (!wrong && (await fetch(`${url}/healthz`)).status !== 200) wrong = "it is not alive";
    if (!wrong && /[\u0000-\u0009\u001b]/.test(log)) wrong = "controls in the log";
  } catch (error) {
    wrong = error.message;
  }
  child.kill("SIGTERM");
  const code = await ended;
  if (!wrong && code !== 0) wrong = `it ended with ${code}: ${log}`;
  for (const socket of sockets) socket.destroy();
  server.close();
  if (wrong) console.log(`# ${wrong.replaceAll("\n", "\n# ")}`);
  console.log(`${wrong ? "not ok" : "ok"} - a Redis that ${name}`);
  return !wrong;
}
const well = await Promise.all(rows.map(meet));
process.exitCode = well.every(Boolean) ? 0 : 1;
