// One stream per page, kept alive: own back-off, own banner, a full refresh after every gap.
// htmx's sse extension asks htmx.createEventSource for its source; it gets this one, which never reports CLOSED.
{
  const BACKOFF = [1, 2, 5, 10, 15]; // seconds, then stays at the last
  const SILENCE = 45_000; // the server sends `heartbeat` every 15 s; three missed ones mean a dead line
  const banner = () => document.getElementById("live-banner");
  let leaving = false;
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });

  class LiveSource {
    #url; #source = null; #listeners = new Map(); #tries = 0; #timer = 0; #clock = 0; #lastId = ""; #heard = Date.now(); #beats = false; #closed = false;
    onopen = null;
    onerror = null;

    constructor(url) {
      this.#url = new URL(url, location.href);
      this.#connect();
      addEventListener("online", () => this.retry());
      addEventListener("offline", () => this.#lost());
      setInterval(() => { if (this.#beats && Date.now() - this.#heard > SILENCE && this.#source) this.#lost(); }, 5000);
      document.addEventListener("visibilitychange", () => {
        if (document.hidden) return;
        this.#source ? resync() : this.retry();
      });
    }

    get readyState() { return this.#source?.readyState === EventSource.OPEN ? EventSource.OPEN : EventSource.CONNECTING; }

    addEventListener(name, listener) {
      const wrapped = (event) => {
        this.#heard = Date.now();
        if (event.lastEventId) this.#lastId = event.lastEventId;
        listener(event);
      };
      if (!this.#listeners.has(name)) this.#listeners.set(name, new Map());
      this.#listeners.get(name).set(listener, wrapped);
      this.#source?.addEventListener(name, wrapped);
    }

    removeEventListener(name, listener) {
      const wrapped = this.#listeners.get(name)?.get(listener);
      if (wrapped) this.#source?.removeEventListener(name, wrapped);
      this.#listeners.get(name)?.delete(listener);
    }

    close() { this.#closed = true; this.#drop(); clearTimeout(this.#timer); clearInterval(this.#clock); }

    retry() { if (!this.#closed && !this.#source) { clearTimeout(this.#timer); this.#connect(); } }

    #connect() {
      clearInterval(this.#clock);
      if (this.#lastId) this.#url.searchParams.set("afterId", this.#lastId);
      const source = this.#source = new EventSource(this.#url);
      source.onopen = () => {
        this.#heard = Date.now();
        if (this.#tries) this.#back();
        this.#tries = 0;
        this.onopen?.(new Event("open"));
      };
      source.onerror = () => this.#lost();
      source.addEventListener("heartbeat", () => { this.#beats = true; this.#heard = Date.now(); });
      source.addEventListener("resync_required", () => resync());
      source.addEventListener("bye", () => this.#lost());
      for (const [name, group] of this.#listeners) for (const wrapped of group.values()) source.addEventListener(name, wrapped);
    }

    #drop() { this.#source?.close(); this.#source = null; }

    #lost() {
      if (this.#closed || leaving) return;
      const since = this.#heard;
      this.#drop();
      clearTimeout(this.#timer);
      const wait = BACKOFF[Math.min(this.#tries, BACKOFF.length - 1)];
      this.#tries += 1;
      const due = Date.now() + wait * 1000;
      this.#timer = setTimeout(() => this.retry(), wait * 1000);
      if (this.#tries > 1 || !navigator.onLine) this.#show(since, due); // a single hiccup is not worth a banner
    }

    #show(since, due) {
      const place = banner();
      if (!place) return;
      if (!place.querySelector("[data-live=next]")) place.replaceChildren(document.getElementById("live-lost").content.cloneNode(true));
      const slot = (name) => place.querySelector(`[data-live=${name}]`);
      slot("what").textContent = navigator.onLine ? "Live updates paused" : "You are offline";
      slot("since").textContent = new Date(since).toLocaleTimeString("en-GB");
      slot("now").onclick = () => this.retry();
      const tick = () => {
        const left = Math.ceil((due - Date.now()) / 1000);
        slot("next") && (slot("next").textContent = left > 0 ? `Trying again in ${left} s.` : "Trying now.");
      };
      clearInterval(this.#clock);
      tick();
      this.#clock = setInterval(tick, 1000);
      offline(true);
    }

    #back() {
      offline(false);
      const place = banner();
      if (place?.firstElementChild) {
        place.replaceChildren(document.getElementById("live-back").content.cloneNode(true));
        setTimeout(() => { if (!place.querySelector("[data-live=next]")) place.replaceChildren(); }, 4000);
      }
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

  const resync = () => document.body.dispatchEvent(new CustomEvent("live-resync"));

  htmx.createEventSource = (url) => new LiveSource(url);
  // whatever a form of ours changed is shown at once, stream or no stream
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful && detail.requestConfig.verb !== "get") setTimeout(resync, 200);
  });
  // a background refresh that fails keeps what is shown; the banners say why
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.requestConfig?.elt?.id === "live" && detail.xhr.status >= 400) detail.shouldSwap = false;
  });
}
