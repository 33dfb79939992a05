// "This browser" on the page of notifications: subscribing to pushes and leaving again.
{
  const card = () => document.getElementById("this-browser");
  const part = (name) => card()?.querySelector(`[data-push=${name}]`);
  const ADDRESS = "/api/web-push/subscriptions";
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  let registration = null;

  const why = () => {
    if (!isSecureContext) return tr("Browsers take pushes over HTTPS only. Open Dockrev by its https address.");
    if (!("serviceWorker" in navigator) || !("Notification" in window)) return tr("This browser cannot take pushes.");
    if (!("PushManager" in window)) return tr("This browser takes pushes for installed apps only: put Dockrev on the home screen, then open it there.");
    if (Notification.permission === "denied") return tr("Notifications of this address are blocked in the browser. Allow them in its site settings, then reload.");
    if (!card().dataset.key) return tr("Make the keys first.");
    return "";
  };

  const say = (text, tone = "off") => {
    const state = part("state");
    if (!state) return;
    state.dataset.s = tone;
    state.textContent = text;
  };

  const send = async (method, body) => {
    const answer = await fetch(ADDRESS, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error((await answer.json().catch(() => null))?.error?.message ?? tr("Dockrev answered {n}", { n: answer.status }));
  };

  const show = async () => {
    if (!card()) return;
    const problem = why();
    const subscription = problem ? null : await registration?.pushManager.getSubscription();
    let here = "";
    if (subscription) here = hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(subscription.endpoint))).slice(0, 32);
    const row = here && document.getElementById(`d-${here}`);
    for (const each of document.querySelectorAll("[data-here]")) each.hidden = !row || !row.contains(each);
    part("subscribe").hidden = Boolean(problem) || Boolean(row);
    part("unsubscribe").hidden = Boolean(problem) || !row;
    part("name").hidden = Boolean(problem) || Boolean(row);
    if (problem) say(problem);
    else if (row) say(tr("This browser gets pushes."), "ok");
    else say(tr("This browser gets no pushes."));
  };

  const subscribe = async () => {
    say(tr("Asking the browser…"), "run");
    if (await Notification.requestPermission() !== "granted") { await show(); return; }
    const key = card().dataset.key;
    const wanted = bytes(key);
    let subscription = await registration.pushManager.getSubscription();
    if (subscription && hex(subscription.options?.applicationServerKey ?? wanted) !== hex(wanted)) { // of keys that are gone
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ??= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: wanted });
    await send("POST", { ...subscription.toJSON(), name: part("name").querySelector("input").value });
  };

  const unsubscribe = async () => {
    const subscription = await registration.pushManager.getSubscription();
    if (!subscription) return;
    await send("DELETE", { endpoint: subscription.endpoint });
    await subscription.unsubscribe();
  };

  addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-push=subscribe], button[data-push=unsubscribe]");
    if (!button) return;
    button.setAttribute("aria-busy", "true");
    button.disabled = true;
    try {
      await (button.dataset.push === "subscribe" ? subscribe() : unsubscribe());
      document.body.dispatchEvent(new CustomEvent("live-resync"));
      await show();
    } catch (error) {
      say(tr("It did not work: {why}", { why: error.message }), "bad");
    } finally {
      button.removeAttribute("aria-busy");
      button.disabled = false;
    }
  });

  const begin = async () => {
    if (!card()) return;
    try {
      if (isSecureContext && "serviceWorker" in navigator) {
        await navigator.serviceWorker.register("/sw.js");
        registration = await navigator.serviceWorker.ready;
      }
      await show();
    } catch (error) {
      say(tr("The browser refused Dockrev's service worker: {why}", { why: error.message }), "bad");
    }
  };
  document.addEventListener("htmx:afterSwap", ({ detail }) => { if (detail.target?.id === "page") show(); });
  begin();
}
