// Dockrev as an app: its service worker, the badge with the number of updates, what the offline page may tell, installing.
{
  const KNOWN = "dockrev-known", INSTALL = "dockrev-install";
  const HOUR = 3_600_000, PAUSE = 30_000, CALM = 3000;
  const MEMBERS = ["updates", "held", "services", "stacks", "lastCheckAt", "asOf"];
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const keep = (name, text) => { try { localStorage.setItem(name, text); } catch { /* then it is not remembered */ } };

  // ---- counts: the only thing kept of what Dockrev says, with its time. What is not known is not shown as 0.
  const badge = async (count) => {
    try { await (count > 0 ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.()); } catch { /* not here */ }
  };
  const learn = (found) => {
    if (!Number.isInteger(found.updates) || !found.asOf) return;
    badge(found.updates);
    keep(KNOWN, JSON.stringify(Object.fromEntries(MEMBERS.map((name) => [name, found[name] ?? null]))));
  };
  const look = () => {
    const told = document.querySelector("[data-known]");
    if (told) learn(JSON.parse(told.dataset.known));
    return Boolean(told);
  };

  let asked = 0, timer = 0;
  const ask = async () => {
    if (document.hidden || look()) return;
    asked = Date.now();
    try {
      const answer = await fetch("/api/widget", { headers: { Accept: "application/json" }, cache: "no-store" });
      if (answer.ok) learn(await answer.json());
    } catch { /* the banner says that Dockrev cannot be reached */ }
  };
  document.addEventListener("dockrev-changed", () => {
    if (!navigator.setAppBadge) return;
    clearTimeout(timer);
    timer = setTimeout(ask, Math.max(CALM, asked + PAUSE - Date.now()));
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => { if (detail.target?.id === "page") look(); });
  look();

  // ---- the worker: looked for anew now and then, since an app may stay open for weeks
  if (isSecureContext && navigator.serviceWorker) {
    let since = Date.now();
    const begin = async () => {
      try {
        const registration = await navigator.serviceWorker.register("/sw.js", { updateViaCache: "none" });
        navigator.serviceWorker.ready.then(({ active }) => active.postMessage({ lang })); // of the offline page
        document.addEventListener("visibilitychange", () => {
          if (document.hidden || Date.now() - since < HOUR) return;
          since = Date.now();
          registration.update().catch(() => {});
        });
      } catch { /* the page of notifications says why; everything else works without */ }
    };
    if (document.readyState === "complete") begin(); else addEventListener("load", begin, { once: true });
  }

  // ---- installing: offered where the browser can, and not again once declined
  let prompt = null;
  const offer = () => {
    for (const el of document.querySelectorAll("[data-install]")) el.hidden = !prompt || kept(INSTALL) === "no";
    for (const el of document.querySelectorAll("[data-do=install]")) if (prompt) delete el.dataset.off; else el.dataset.off = "";
  };
  const install = async () => {
    const asking = prompt;
    prompt = null; // it asks once
    await asking?.prompt();
    if ((await asking?.userChoice)?.outcome === "dismissed") keep(INSTALL, "no");
    offer();
  };
  addEventListener("beforeinstallprompt", (event) => { event.preventDefault(); prompt = event; offer(); });
  addEventListener("appinstalled", () => { prompt = null; offer(); });
  document.addEventListener("dockrev-install", install);
  addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-install] button");
    if (!button) return;
    if (button.value === "yes") install(); else { keep(INSTALL, "no"); offer(); }
  });
}
