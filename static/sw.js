// Turns pushes into notifications. It answers no request: what Dockrev shows is never from yesterday.
const ICON = "/static/icons/app-192.png";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

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

self.addEventListener("push", (event) => {
  const push = read(event.data);
  const options = { body: words(push.body), icon: ICON, data: { url: words(push.url) || words(push.data?.url) } };
  if (words(push.notificationId)) options.tag = `dockrev-${push.notificationId}`; // sent again, it replaces itself
  event.waitUntil(self.registration.showNotification(words(push.title) || "Dockrev", options));
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
