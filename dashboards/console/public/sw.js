/* The crew's page works through a dead spot: what is needed to show it is kept, and used when the network does not answer.
   What people say meanwhile is kept by the page itself (src/lib/queue.svelte.ts). Only this origin is ever asked. */
const PAGE = 'sanimon-page-v1';
const DATA = 'sanimon-data-v1';
/** Answers that a page needs to begin with; the newest is kept. */
const KEPT = ['/api/v1/me', '/api/v1/site', '/api/v1/zones', '/api/v1/teams', '/api/v1/devices', '/api/v1/alerts', '/api/v1/alerts/counts', '/api/v1/vehicles', '/api/v1/rounds'];
/** A network that has not answered after this time is taken for none, where an older answer is kept. */
const PATIENCE_MS = 20_000;

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(PAGE).then((cache) => cache.addAll(['/', '/icon.svg'])).then(() => self.skipWaiting()));
});
self.addEventListener('activate', (event) => {
  const old = (name) => name !== PAGE && name !== DATA;
  event.waitUntil(caches.keys().then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name)))).then(() => self.clients.claim()));
});
self.addEventListener('message', (event) => {
  // Who signs out leaves nothing behind.
  if (event.data === 'forget') event.waitUntil(caches.delete(DATA));
  // What the page had loaded before this worker was there.
  if (Array.isArray(event.data?.keep)) event.waitUntil(caches.open(PAGE).then((cache) => cache.addAll(event.data.keep.filter((url) => new URL(url).pathname.startsWith('/assets/')))));
});

/** The network's answer, kept; without one, what was kept, marked as old. */
async function networkFirst(request, name, key) {
  const cache = await caches.open(name);
  const kept = await cache.match(key);
  try {
    const response = await fetch(request, kept ? { signal: AbortSignal.timeout(PATIENCE_MS) } : {});
    if (response.ok) await cache.put(key, response.clone());
    return response;
  } catch (error) {
    if (kept) return new Response(kept.body, { status: kept.status, headers: { ...Object.fromEntries(kept.headers), 'x-sanimon-kept': '1' } });
    throw error;
  }
}

/** Hashed names never change their content. */
async function keptFirst(request) {
  const cache = await caches.open(PAGE);
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone());
  return response;
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (request.mode === 'navigate' && !url.pathname.startsWith('/api/') && !url.pathname.startsWith('/r/')) {
    event.respondWith(networkFirst(request, PAGE, '/'));
  } else if (url.pathname === '/icon.svg' || url.pathname.startsWith('/assets/')) {
    event.respondWith(keptFirst(request));
  } else if (url.searchParams.has('cursor')) {
    // A later page is of no use without the one before, and each has an address of its own: kept, they would pile up.
    return;
  } else if (KEPT.includes(url.pathname) || /^\/api\/v1\/rounds\/\d+$/.test(url.pathname)) {
    event.respondWith(networkFirst(request, DATA, request.url));
  }
});
