// Whether a field holds something else than what came with the page.
const typed = (el) => {
  if (el instanceof HTMLInputElement) {
    if (el.type === "hidden") return false;
    return el.type === "checkbox" || el.type === "radio" ? el.checked !== el.defaultChecked : el.value !== el.defaultValue;
  }
  if (el instanceof HTMLTextAreaElement) return el.value !== el.defaultValue;
  if (!(el instanceof HTMLSelectElement) || el.multiple) return false;
  return el.selectedIndex !== Math.max(0, [...el.options].findLastIndex((option) => option.defaultSelected));
};
// A copy of what base.html keeps for such moments.
const stencil = (name) => document.getElementById(`live-${name}`).content.cloneNode(true);
// What htmx's sse extension gets from htmx.createEventSource: a source that never reports CLOSED, has its own banner and
// has the page read again after every gap. It listens through the worker that all tabs share (stream.js); the page of a
// job has a line of its own beside it. Where a browser has no shared workers, a page has a line while it is looked at.
{
  const UNSEEN = 20_000; // a page nobody looks at lets go of its own line after that
  const MUTE = 75_000; // the worker says something every 15 s
  const PAUSE = 30_000;
  const LATE = 3000; // the server tells what happened that long before somebody listened
  const WORKER = document.currentScript?.dataset.worker;
  const banner = () => document.getElementById("live-banner");
  const resync = () => document.body.dispatchEvent(new CustomEvent("live-resync"));
  let gone = false, source = null;

  // Signed out: the page stays, with what was typed on it, for which signing in happens in another tab.
  const mark = () => {
    if (!gone) return;
    const kept = [...document.querySelectorAll(":is(#page, #dialog) :is(input, select, textarea)")].some(typed);
    banner().querySelector("a").target = kept ? "_blank" : "";
    banner().querySelector("[data-live=next]").hidden = !kept;
  };
  const out = () => {
    if (gone || !banner()) return;
    gone = true;
    source?.stop();
    banner().replaceChildren(stencil("out"));
    mark();
    document.getElementById("announce").textContent = banner().querySelector("span span").textContent;
  };
  const back = (was) => {
    const place = banner();
    if ((was || gone) && place?.firstElementChild) {
      place.replaceChildren(stencil("back"));
      setTimeout(() => { if (!place.querySelector("[data-live=next]")) place.replaceChildren(); }, 4000);
    }
    gone = false;
    for (const note of document.querySelectorAll("[data-stay]")) note.remove();
  };

  class LiveSource {
    #address; #about = {}; #tab = null; #own = null; #listeners = new Map(); #open = false; #paused = false; #clock = 0; #heard = Date.now(); #unseen = 0; #checked = 0; #closed = false;
    onopen = null;
    onerror = null;

    constructor(address) {
      this.#address = address;
      for (const topic of new URL(address, location.href).searchParams.get("topics").split(",")) {
        const [kind, id] = topic.split(":");
        if (id) this.#about[kind] = id;
      }
      this.#join();
      addEventListener("online", () => this.wake());
      addEventListener("focus", () => { if (gone) this.wake(); });
      addEventListener("offline", () => { this.#tab?.postMessage({ offline: true }); this.#own?.lost(); });
      addEventListener("pagehide", () => { this.#tab?.postMessage({ leave: true }); this.#own?.sleep(); });
      addEventListener("pageshow", ({ persisted }) => { if (persisted) this.#rejoin(); });
      document.addEventListener("visibilitychange", () => this.#look());
      setInterval(() => {
        if (document.hidden || gone || !this.#tab || Date.now() - this.#heard < MUTE) return;
        this.#alone(); // the worker has died
        resync();
      }, 15_000);
    }

    get readyState() { return this.#open ? EventSource.OPEN : EventSource.CONNECTING; }
    addEventListener(name, listener) {
      if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
      this.#listeners.get(name).add(listener);
    }
    removeEventListener(name, listener) { this.#listeners.get(name)?.delete(listener); }

    close() {
      this.#closed = true;
      this.#tab?.postMessage({ leave: true });
      this.#own?.close();
      clearInterval(this.#clock);
    }

    #join() {
      if (!WORKER || !globalThis.SharedWorker) { this.#alone(); return; }
      try {
        const worker = new SharedWorker(WORKER, "dockrev-live");
        worker.onerror = () => this.#alone();
        this.#tab = worker.port;
      } catch { this.#alone(); return; }
      this.#tab.onmessage = ({ data }) => this.#hear(data);
      this.#tab.postMessage({ join: performance.now(), lang }); // this page cannot be older than that
      if (this.#about.job) this.#listen(`/events?topics=job:${encodeURIComponent(this.#about.job)}`, { event: (name, data, id) => { if (name.startsWith("job_") || name === "job-changed") this.#tell(name, data, id); } });
    }

    #alone() {
      if (this.#closed) return;
      if (this.#tab) this.#tab.onmessage = null;
      this.#tab = null;
      this.#own?.close();
      this.#own = null;
      this.#listen(this.#address, {
        event: (name, data, id) => this.#tell(name, data, id),
        open: (first) => this.#opened(first ? "first" : "again"),
        lost: (how) => this.#lost(how),
        out,
      });
    }

    #listen(address, told) {
      const begin = () => { if (!this.#own) this.#own = new DockrevLine(address, told); };
      if (!document.hidden) { begin(); return; }
      document.addEventListener("visibilitychange", begin, { once: true });
    }

    #hear(message) {
      this.#heard = Date.now();
      if (message.open) this.#opened(message.open);
      else if (message.lost) this.#lost(message.lost);
      else if (message.out) out();
      else if (message.event) this.#shared(message.event, message.data, message.id);
    }

    // of what is told to all tabs: what concerns the one service, stack or job of this page
    #shared(name, data, id) {
      this.#tell(name, data, id);
      if (name !== "services-changed" && name !== "stacks-changed" && name !== "jobs-changed") return;
      const { ids } = JSON.parse(data), { service, stack, job } = this.#about;
      const meant = (one) => one && (!ids || ids.includes(one));
      if (name === "services-changed" && meant(service)) this.#tell("service-changed", data, id);
      if (stack && (name === "services-changed" || (name === "stacks-changed" && meant(stack)))) this.#tell("stack-changed", data, id);
      if (name === "jobs-changed" && job && document.hidden && ids?.includes(job.split("@")[0])) this.#tell("job-changed", data, id);
    }

    #tell(name, data, lastEventId = "") {
      if (name === "resync_required") { resync(); return; }
      if (name === "services-changed") document.dispatchEvent(new CustomEvent("dockrev-changed"));
      const event = new MessageEvent(name, { data, lastEventId });
      for (const listener of [...(this.#listeners.get(name) ?? [])]) listener(event);
    }

    wake() {
      this.#heard = Date.now();
      this.#tab?.postMessage({ wake: true });
      if (!document.hidden) this.#own?.wake();
    }

    #rejoin() {
      this.#tab?.postMessage({ join: 0, lang });
      this.#own?.wake();
      resync(); // nobody knows what happened meanwhile
    }

    #look() {
      clearTimeout(this.#unseen);
      if (document.hidden) { this.#unseen = setTimeout(() => this.#own?.sleep(), UNSEEN); return; }
      this.wake();
      if (this.#open && !this.#paused) resync();
    }

    #opened(how) {
      this.#open = true;
      if (how === "again" || this.#paused || gone) this.#back();
      else if (how === "first" && performance.now() > LATE) resync();
      if (how !== "still") this.onopen?.(new Event("open"));
    }

    stop() {
      this.#open = false;
      clearInterval(this.#clock);
      offline(true);
    }

    // a request was refused or led away: let the line of all tabs find out, at its own pace
    check() {
      if (Date.now() - this.#checked < PAUSE) return;
      this.#checked = Date.now();
      this.#tab?.postMessage({ check: true });
      this.#own?.renew();
    }

    #lost({ since, due, tries }) {
      this.#open = false;
      if (tries > 1 || !navigator.onLine) this.#show(since, due); // a single hiccup is not worth a banner
    }

    #show(since, due) {
      const place = banner();
      if (!place || gone) return;
      this.#paused = true;
      if (!place.querySelector("[data-live=next]")) place.replaceChildren(stencil("lost"));
      const slot = (name) => place.querySelector(`[data-live=${name}]`);
      slot("what").textContent = navigator.onLine ? tr("Live updates paused") : tr("You are offline");
      slot("since").textContent = new Date(since).toLocaleTimeString("en-GB");
      slot("now").onclick = () => { this.#tab?.postMessage({ retry: true }); this.#own?.retry(); };
      const tick = () => {
        const left = Math.ceil((due - Date.now()) / 1000);
        slot("next") && (slot("next").textContent = left > 0 ? tr("Trying again in {n} s.", { n: left }) : tr("Trying now."));
      };
      clearInterval(this.#clock);
      tick();
      this.#clock = setInterval(tick, 1000);
      offline(true);
    }

    #back() {
      if (!navigator.onLine) return; // the worker may be quicker to know; `online` comes too
      clearInterval(this.#clock);
      offline(false);
      back(this.#paused);
      this.#paused = false;
      if (!document.hidden) this.#own?.retry();
      resync();
    }
  }

  // what needs the server is disabled while it cannot be reached
  const offline = (yes) => {
    for (const button of document.querySelectorAll("form[method=post] button")) {
      if (yes && !button.disabled) { button.disabled = true; button.dataset.off = ""; }
      else if (!yes && "off" in button.dataset) { button.disabled = false; delete button.dataset.off; }
    }
  };

  htmx.createEventSource = (url) => source = new LiveSource(url);
  addEventListener("input", mark);
  // refused, or a whole page where a part was asked for: that of a proxy at which to sign in
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { elt, xhr } = event.detail;
    if (xhr.status !== 401 && !/^\s*<(!doctype|html)/i.test(xhr.response)) return;
    event.preventDefault();
    out();
    source?.check();
    if (elt.id !== "live") document.getElementById("toasts").append(stencil("refused"));
  });
  document.addEventListener("htmx:sendError", () => {
    document.getElementById("toasts").append(stencil("silent"));
    source?.check();
  });
  // whatever a form of ours changed is shown at once, stream or no stream
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful && detail.requestConfig.verb !== "get") setTimeout(resync, 200);
    if (detail.successful && gone) { if (source) source.wake(); else back(); }
  });
  // a background refresh that fails keeps what is shown; the banners say why
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.requestConfig?.elt?.id === "live" && detail.xhr.status >= 400) detail.shouldSwap = false;
  });
}
