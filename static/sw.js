// Turns pushes into notifications and the app's badge, and answers when Dockrev cannot be reached: with a page that says
// so and what was known when. Nothing of what Dockrev says is kept here: what it shows is never from yesterday.
const ICON = "/static/icons/app-192.png";
const OFFLINE = "/offline";
const SHELL = `dockrev-${globalThis.DOCKREV_SHELL ?? "shell"}`; // the version comes with the file: a new one is a new cache

const fill = async () => {
  const answer = await fetch(OFFLINE, { cache: "no-store", credentials: "same-origin" });
  if (!answer.ok || answer.redirected) throw new Error(`the offline page was answered with ${answer.status}`);
  const html = await answer.clone().text();
  const needed = new Set(Array.from(html.matchAll(/(?:href|src)="(\/static\/[^"#]+)/g), ([, address]) => address));
  const cache = await caches.open(SHELL);
  await cache.addAll([...needed]);
  await cache.put(OFFLINE, answer);
};

self.addEventListener("install", (event) => {
  self.skipWaiting(); // no page depends on which of the workers answers
  event.waitUntil(fill());
});
self.addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith("dockrev-") && name !== SHELL) await caches.delete(name);
  await self.clients.claim();
})()));
self.addEventListener("message", (event) => {
  if (event.data === "SKIP_WAITING" || event.data?.type === "SKIP_WAITING") self.skipWaiting();
  if (event.data?.lang) event.waitUntil(speak(event.data.lang));
});

// Each page says its language: the page that is kept follows it. When it cannot be had, the one there is stays.
const speak = async (lang) => {
  const had = await (await caches.open(SHELL)).match(OFFLINE);
  if (had && !(await had.text()).includes(`<html lang="${lang}"`)) await fill().catch(() => {}); // offline: the page of before stays
};

const kept = async (request) => (await (await caches.open(SHELL)).match(request)) ?? Response.error();
self.addEventListener("fetch", (event) => {
  const { request } = event, address = new URL(request.url);
  if (request.method !== "GET" || address.origin !== location.origin) return;
  if (request.mode === "navigate") event.respondWith(fetch(request).catch(() => kept(OFFLINE)));
  // what the offline page needs; the address holds the hash of the content
  else if (address.pathname.startsWith("/static/") && address.searchParams.has("v")) event.respondWith(fetch(request).catch(() => kept(request)));
});

// A push is JSON with title, body and url; anything else is shown as it stands.
const read = (data) => {
  const text = data ? data.text() : "";
  try {
    const found = JSON.parse(text);
    if (found && typeof found === "object" && !Array.isArray(found)) return found;
  } catch { /* no JSON */ }
  return { body: text };
};
const words = (value) => (typeof value === "string" ? value : "");

// The badge of the app: updates that wait. A push that does not know the number leaves it as it is.
const badge = async ({ updatesWaiting, unreadCount }) => {
  const count = Number.isInteger(updatesWaiting) ? updatesWaiting : unreadCount;
  if (!Number.isInteger(count) || count < 0) return;
  try { await (count ? self.navigator.setAppBadge?.(count) : self.navigator.clearAppBadge?.()); } catch { /* the notification matters more */ }
};

self.addEventListener("push", (event) => {
  const push = read(event.data);
  const options = { body: words(push.body), icon: ICON, data: { url: words(push.url) || words(push.data?.url) } };
  if (words(push.notificationId)) options.tag = `dockrev-${push.notificationId}`; // sent again, it replaces itself
  event.waitUntil(Promise.all([self.registration.showNotification(words(push.title) || "Dockrev", options), badge(push)]));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.url ?? ""));
});

const open = async (address) => {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!address && windows.length) return windows[0].focus();
  let target;
  try {
    target = new URL(address || "/", self.registration.scope);
  } catch { target = new URL(self.registration.scope); }
  if (!["http:", "https:"].includes(target.protocol)) target = new URL(self.registration.scope);
  const there = windows.find((each) => each.url === target.href);
  return there ? there.focus() : self.clients.openWindow(target.href);
};

// The push service gave the browser another address: Dockrev keeps the device, under its name.
self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil((async () => {
    const old = event.oldSubscription;
    const fresh = event.newSubscription ?? (old && await self.registration.pushManager.subscribe(old.options));
    const body = fresh ? { ...fresh.toJSON(), replaces: old?.endpoint } : { endpoint: old?.endpoint };
    if (!fresh && !old) return;
    await fetch("/api/web-push/subscriptions", {
      method: fresh ? "POST" : "DELETE", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
  })());
});
