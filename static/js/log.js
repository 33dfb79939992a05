// The log pane follows while the reader is at its end (within 48 px), keeps 500 lines and can be paused.
{
  const NEAR = 48;
  const pane = () => document.querySelector("[data-log]");
  const known = new WeakSet(); // not an attribute: a morph would take it away
  let following = true;

  const say = (yes) => {
    following = yes;
    const bar = document.querySelector("[data-logbar]");
    const state = bar?.querySelector("[data-following-text]");
    if (!state) return;
    state.textContent = yes ? tr("Following") : tr("Paused");
    state.parentElement.dataset.s = yes ? "run" : "off";
    bar.querySelector("[data-following] .live").hidden = !yes;
    bar.querySelector("[data-log-follow] span").textContent = yes ? tr("Pause") : tr("Follow");
  };
  const end = (el) => { el.scrollTop = el.scrollHeight; };

  const attach = (el) => {
    if (!el || known.has(el)) return;
    known.add(el);
    const most = Number(el.dataset.log) || 500;
    end(el);
    el.addEventListener("scroll", () => {
      const atEnd = el.scrollHeight - el.scrollTop - el.clientHeight <= NEAR;
      if (atEnd !== following) say(atEnd);
    }, { passive: true });
    new MutationObserver(() => {
      const list = el.firstElementChild;
      while (list && list.children.length > most) list.firstElementChild.remove();
      if (following) end(el);
    }).observe(el, { childList: true, subtree: true });
  };

  addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-log-follow]")) return;
    say(!following);
    if (following) end(pane());
  });
  addEventListener("change", (event) => {
    if (event.target.matches?.("[data-log-warnings]")) pane()?.classList.toggle("warnings", event.target.checked);
  });
  document.addEventListener("htmx:afterSwap", () => attach(pane()));
  attach(pane());
}
