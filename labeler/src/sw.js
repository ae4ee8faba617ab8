/**
 * sw.js - lets the page open without a network. The build fills in what the page is made
 * of. The API is never answered from here: what the list says comes from its own storage,
 * and an old answer would be a lie. Only the catalogue and its pictures, which do not change
 * what is saved, are remembered.
 */
const PAGE = `page-${"VERSION"}`;
const PHOTOS = "photos";
const FILES = ["FILES"];
/** A navigation that takes longer is answered by what is here. */
const PATIENCE_MS = 3000;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(PAGE)
      .then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const old = (name) => name !== PAGE && name !== PHOTOS;
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
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (url.pathname === "/v1/photos") event.respondWith(networkFirst(request));
  else if (url.pathname.startsWith("/v1/photos/")) event.respondWith(cacheFirst(request, PHOTOS));
  else if (!url.pathname.startsWith("/v1/")) event.respondWith(cacheFirst(request, PAGE));
});

async function page(request) {
  const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
  const answer = await Promise.race([fetch(request).catch(() => undefined), patience]);
  // A server that is there but ails says so with 5xx; the page knows better what to do.
  if (answer && answer.status < 500) return answer;
  return (await caches.match("/", { cacheName: PAGE })) ?? answer ?? Response.error();
}

async function cacheFirst(request, cacheName) {
  const known = await caches.match(request, { cacheName });
  if (known) return known;
  const answer = await fetch(request);
  if (answer.ok && cacheName === PHOTOS) await remember(request, answer.clone());
  return answer;
}

async function networkFirst(request) {
  try {
    const answer = await fetch(request);
    if (answer.ok) await remember(request, answer.clone());
    return answer;
  } catch {
    return (await caches.match(request, { cacheName: PHOTOS })) ?? Response.error();
  }
}

async function remember(request, answer) {
  const cache = await caches.open(PHOTOS);
  await cache.put(request, answer).catch(() => {}); // full: then not
}
