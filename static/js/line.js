// One connection to `/events`, kept alive: own back-off with jitter, and a look at whether it still beats. Used by the
// worker that listens for all tabs, and by a page that has to listen itself. `told` gets event, open, beat, lost and out:
// whoever may not listen any more is not asked again by itself.
{
  const BACKOFF = [1, 2, 5, 10, 15]; // seconds, then stays at the last
  const SILENCE = 45_000; // the server sends `heartbeat` every 15 s; three missed ones mean a dead line
  const DOUBT = 20_000; // one missed one is enough after sleep
  const DOMAINS = ["services", "stacks", "jobs", "inference", "engine", "notifications", "hooks"];
  const NAMES = ["pill", "banner", ...DOMAINS.map((each) => `${each}-changed`), "service-changed", "stack-changed",
    "job-changed", "job_log", "job_now", "job_track", "resync_required"];

  globalThis.DockrevLine = class {
    #url; #told; #source = null; #tries = 0; #timer = 0; #watch = 0; #lastId = ""; #heard = Date.now(); #beats = false; #closed = false; #was = false;

    constructor(address, told) {
      this.#url = new URL(address, location.origin);
      this.#told = told;
      this.#watch = setInterval(() => { if (this.#beats && this.#source && Date.now() - this.#heard > SILENCE) this.lost(); }, 5000);
      this.#connect();
    }

    get open() { return this.#source?.readyState === EventSource.OPEN; }
    close() { this.#closed = true; this.#drop(); clearTimeout(this.#timer); clearInterval(this.#watch); }
    retry() { if (!this.#closed && !this.#source) { clearTimeout(this.#timer); this.#connect(); } }

    sleep() { this.#drop(); clearTimeout(this.#timer); }
    renew() { this.#drop(); this.retry(); }

    // Refused, or led elsewhere to sign in: an EventSource tells neither from a server that is away.
    static async out(url) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 8000);
      try {
        const { status, type } = await fetch(url, { cache: "no-store", redirect: "manual", signal: stop.signal });
        return type === "opaqueredirect" || status === 401 || status === 403;
      } catch { return false; /* no answer at all: away, which the back-off is for */ } finally { stop.abort(); }
    }

    // The device was asleep, or the tab was: what looks like a connection may be none.
    wake() {
      if (this.#source && this.#beats && Date.now() - this.#heard > DOUBT) this.#drop();
      this.retry();
    }

    async lost(refused) {
      if (this.#closed) return;
      const since = this.#heard;
      this.#drop();
      clearTimeout(this.#timer);
      if (refused) {
        const out = await DockrevLine.out(this.#url);
        if (this.#source || this.#closed) return; // somebody was quicker
        if (out) { this.#told.out?.(); return; }
      }
      // not all browsers at once: a server that comes back is busy enough
      const wait = BACKOFF[Math.min(this.#tries, BACKOFF.length - 1)] * (0.75 + Math.random() / 2) * 1000;
      this.#tries += 1;
      this.#timer = setTimeout(() => this.retry(), wait);
      this.#told.lost?.({ since, due: Date.now() + wait, tries: this.#tries });
    }

    #connect() {
      if (this.#lastId) this.#url.searchParams.set("afterId", this.#lastId); // a new EventSource sends no Last-Event-ID
      if (this.#was) this.#url.searchParams.set("again", "1");
      const source = this.#source = new EventSource(this.#url);
      const heard = (event) => {
        this.#heard = Date.now();
        if (event.lastEventId) this.#lastId = event.lastEventId;
      };
      source.onopen = () => {
        const first = !this.#was;
        this.#heard = Date.now();
        this.#tries = 0;
        this.#was = true;
        this.#told.open?.(first);
      };
      source.onerror = () => this.lost(source.readyState === EventSource.CLOSED);
      source.addEventListener("bye", () => this.lost());
      source.addEventListener("heartbeat", (event) => { heard(event); this.#beats = true; this.#told.beat?.(); });
      for (const name of NAMES) source.addEventListener(name, (event) => { heard(event); this.#told.event(name, event.data, event.lastEventId); });
    }

    #drop() { this.#source?.close(); this.#source = null; }
  };
}
