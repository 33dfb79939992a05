// How live content is exchanged: smallest change, nothing under the reader's hands moves.
{
  const sign = (row) => [...row.querySelectorAll(".st, .pt > b")].map((el) => el.textContent).join("|");
  const changed = new Set();

  Idiomorph.defaults.ignoreActiveValue = true;
  Object.assign(Idiomorph.defaults.callbacks, {
    beforeNodeMorphed(old, fresh) {
      if (old.nodeType !== Node.ELEMENT_NODE || fresh.nodeType !== Node.ELEMENT_NODE) return true;
      if (old.tagName === "TIME" && fresh.tagName === "TIME" && old.dateTime === fresh.dateTime && old.dataset.fmt === fresh.dataset.fmt) return false;
      if (old.tagName === "DIALOG" && old.open) return false;
      if (old.matches("[data-log] > ol")) return false; // lines come by themselves
      if (old.matches("[data-card-state], [data-push], [data-here], [data-asked], [data-install]")) return false; // told by the browser, or asked for
      if (old.matches("[data-logbar]") && fresh.querySelector("[data-following]")) return false; // in the reader's hands
      if (typed(old)) return false;
      if ("row" in old.dataset && sign(old) !== sign(fresh)) changed.add(old);
      return true;
    },
    beforeAttributeUpdated(name, node) {
      if (name === "open" && node.tagName === "DETAILS") return false; // the reader opened or closed it
      if (name === "disabled" && "off" in node.dataset) return false;
      return !(name === "data-off" || (name === "class" && node.classList.contains("swapped")));
    },
  });

  const flash = () => {
    for (const node of changed) {
      node.classList.remove("swapped");
      void node.offsetWidth; // restart the wash
      node.classList.add("swapped");
      setTimeout(() => node.classList.remove("swapped"), 1500);
    }
    changed.clear();
  };

  // rows do not move under the pointer: those that stay are renewed, the rest waits behind a button
  const order = (root) => [...root.querySelectorAll("[data-rows] [data-row][id]")].map((row) => row.id);
  let waiting = null;

  const hold = (page, html) => {
    const list = page.querySelector("[data-rows]");
    const busy = list && (list.matches(":hover") || (list.contains(document.activeElement) && document.activeElement !== document.body));
    if (!busy) return false;
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const before = order(page), after = order(fresh);
    const kept = after.filter((id) => before.includes(id));
    if (before.filter((id) => after.includes(id)).join() === kept.join() && before.length === after.length) return false;
    for (const id of kept) {
      const row = fresh.getElementById(id);
      if (row.tagName === "TR") Idiomorph.morph(document.getElementById(id), row, { morphStyle: "outerHTML" });
    }
    const count = after.filter((id) => !before.includes(id)).length;
    page.querySelector(".news")?.remove();
    const news = stencil("news");
    news.querySelector("[data-live=count]").textContent = count ? `${count} new` : "The order has changed";
    news.querySelector("[data-live=reload]").onclick = () => { waiting = "asked"; document.body.dispatchEvent(new CustomEvent("live-resync")); };
    list.before(news);
    flash();
    return true;
  };

  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.requestConfig?.elt?.id !== "live" || !detail.shouldSwap) return;
    if (waiting !== "asked" && hold(document.getElementById("page"), detail.serverResponse)) detail.shouldSwap = false;
    waiting = null;
  });

  // a node that holds focus is not replaced by the stream; the next event brings it up to date. htmx listens once more
  // when it meets a node whose class it has just changed itself: the same message counts once.
  const told = new WeakMap();
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const target = event.target;
    if (told.get(target) === event.detail) { event.preventDefault(); return; }
    told.set(target, event.detail);
    if (target.id !== "job-log-lines" && target.contains(document.activeElement) && document.activeElement.matches("input, select, button, textarea")) event.preventDefault();
  });

  let said = "";
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target?.id !== "page") return;
    flash();
    const heading = document.querySelector("h1");
    if (heading) document.title = `${heading.textContent.trim().replace(/\s+/g, " ")} | Dockrev`;
    const text = document.querySelector("h1[data-announce]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
    if (said && text !== said) document.getElementById("announce").textContent = text;
    said = text;
  });
  said = document.querySelector("h1[data-announce]")?.textContent.trim().replace(/\s+/g, " ") ?? "";
}
