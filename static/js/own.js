// Dockrev's own service: its upgrade is the supervisor's, which is asked whether it is there (1.2 s at most).
{
  const PATIENCE = 1200, FRESH = 15_000;
  const known = new Map(); // by address: a promise of "" or of why not, and when it was asked

  const ask = async (address) => {
    const url = new URL(`${address.replace(/\/+$/, "")}/self-upgrade`, location.href);
    if (url.origin !== location.origin) return "?Whether the supervisor answers is not known here: it has another address.";
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE), headers: { Accept: "application/json" }, cache: "no-store", redirect: "manual" });
      const told = await answer.json().catch(() => null);
      if (answer.ok && typeof told?.state === "string") return "";
      if (answer.status === 401 && told?.error?.details?.pass) return ""; // it is there, and the link brings a pass
      if (told?.code === "supervisor_misrouted" || answer.ok) return tr("Misrouted: the proxy sends this address elsewhere, not to the supervisor.");
      if (answer.status === 401 || answer.status === 403 || answer.type === "opaqueredirect") return tr("Unauthorised: the supervisor or the proxy does not let you in.");
      return tr("Offline: the proxy answers with status {n}.", { n: answer.status });
    } catch (error) {
      return error.name === "TimeoutError" ? tr("Offline: the supervisor did not answer within 1.2 s.") : tr("Offline: the supervisor cannot be reached.");
    }
  };

  const show = (el, why) => {
    const link = el.querySelector("a"), off = why !== "" && !why.startsWith("?"), say = el.querySelector("[data-own-why]");
    const text = why.replace(/^\?/, "");
    if (say.textContent !== text) say.textContent = text;
    el.querySelector("[data-own-again]").hidden = !off;
    if (off && link.hasAttribute("href")) { link.removeAttribute("href"); link.role = "link"; link.ariaDisabled = "true"; }
    if (!off && !link.hasAttribute("href")) { link.href = el.dataset.ownWay ?? el.dataset.own; link.removeAttribute("role"); link.removeAttribute("aria-disabled"); }
  };

  const look = (el, anew = false) => {
    const address = el.dataset.own, last = known.get(address);
    if (anew || !last || Date.now() - last.at > FRESH) known.set(address, { at: Date.now(), why: ask(address) });
    known.get(address).why.then((why) => { if (el.isConnected) show(el, why); });
  };
  const all = (anew) => document.querySelectorAll("[data-own]").forEach((el, index) => look(el, anew && index === 0));

  addEventListener("click", (event) => { if (event.target.closest?.("[data-own-again]")) all(true); });
  // a morph brings the link back as the server knows it
  new MutationObserver(() => all(false)).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["href"] });
  all(false);
}
