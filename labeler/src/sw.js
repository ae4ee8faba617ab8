/**
 * sw.js - lets the page open without a network. The build fills in what the page is made
 * of. The API is never answered from here: what the list says comes from its own storage,
 * and an old answer would be a lie. The catalogue and its pictures are the page's own to
 * remember (catalogue.ts, thumbs.ts).
 */
const PAGE = `page-${"VERSION"}`;
const FILES = ["FILES"];
/** A navigation that takes longer is answered by what is here. */
const PATIENCE_MS = 3000;

/** A name with a hash in it never changes: the browser may have it from opening the page. */
const fetched = (file) =>
  new Request(file, { cache: file.startsWith("/assets/") ? "default" : "reload" });

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(PAGE)
      .then((cache) => cache.addAll(FILES.map(fetched)))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const old = (name) => name.startsWith("page-") && name !== PAGE;
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate" && url.pathname === "/") event.respondWith(page(request));
  else if (FILES.includes(url.pathname)) event.respondWith(file(request));
});

async function page(request) {
  const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  const answer = await Promise.race([fetch(request).catch(() => undefined), patience]);
  // A server that is there but ails says so with 5xx; the page knows better what to do.
  if (answer && answer.status < 500) return answer;
  return (await caches.match("/", { cacheName: PAGE })) ?? answer ?? Response.error();
}

const file = async (request) =>
  (await caches.match(request, { cacheName: PAGE })) ?? fetch(request);
