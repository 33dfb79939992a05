// The supervisor's page while Dockrev restarts: a stream, polling where that breaks, and Dockrev asked beside it.
{
  const base = document.body.dataset.base, $ = (id) => document.getElementById(id);
  const said = `language=${lang.slice(0, 2)}`; // another tab may switch while this page stays
  const FAST = 1000, SLOW = 5000, PATIENCE = 4000, NEAR = 48;
  const SWAPPED = ["headline", "actions", "upgrade", "preflight", "tabs", "log", "dialog", "hand"];
  const parser = new DOMParser(), shown = {};
  let running = false, lostAt = 0, stream = null, poll = 0, watch = 0;

  // ---- what moves

  const fill = (id, html) => {
    const el = $(id);
    if (!el || shown[id] === html || (id === "log" && "pinned" in el.dataset)) return;
    if (id !== "log" && id !== "dialog" && el.contains(document.activeElement)) {
      el.addEventListener("focusout", () => setTimeout(() => fill(id, html)), { once: true });
      return;
    }
    const atEnd = el.scrollHeight - el.scrollTop - el.clientHeight <= NEAR;
    el.replaceChildren(...parser.parseFromString(html, "text/html").body.childNodes);
    shown[id] = html;
    if (id === "log" && atEnd) el.scrollTop = el.scrollHeight;
    if (id === "tabs") badges();
  };

  const take = ({ regions }) => {
    for (const id of SWAPPED) if (id in regions) fill(id, regions[id]);
    if ("op" in regions && $("rb-op") && !$("rb").open) $("rb-op").value = regions.op;
    if ("action" in regions) act(regions.action);
    heard();
  };

  const act = (action) => {
    running = action !== "";
    if (!$("start")) return;
    for (const button of $("start").querySelectorAll("button")) {
      button.disabled = running;
      button.toggleAttribute("aria-busy", false);
      if (button.value === action) button.setAttribute("aria-busy", "true");
    }
    $("locked").hidden = !running;
    const title = $("headline")?.querySelector("h1")?.textContent;
    if (title) document.title = `${title} | Dockrev`;
  };

  // ---- the line to the supervisor

  const banner = (what, since) => {
    if (!what) return $("offline").replaceChildren();
    if (!$("offline").firstElementChild) $("offline").append($("offline-banner").content.cloneNode(true));
    $("offline").querySelector("[data-what]").textContent = what;
    $("offline").querySelector("[data-since]").textContent = since;
  };
  const tone = (id, name) => $(id)?.replaceChildren(...$("tones").content.querySelector(`[data-tone=${name}]`).cloneNode(true).childNodes);

  const heard = () => {
    if (lostAt) tone("own-state", "back");
    lostAt = 0;
    banner("", "");
  };
  const lost = (why) => {
    lostAt ||= Date.now();
    tone("own-state", "gone");
    const n = Math.max(1, Math.round((Date.now() - lostAt) / 1000));
    banner(tr("Offline"), tr("{why} What you see is from {n} s ago; still asking.", { why, n }));
  };

  const ask = async (path, patience = PATIENCE) => fetch(path, { signal: AbortSignal.timeout(patience), headers: { Accept: "application/json" }, cache: "no-store" });

  const look = async () => {
    clearTimeout(poll);
    try {
      const answer = await ask(`${base}/self-upgrade/view?${said}`);
      if (answer.status === 401) return lost(tr("You are not let in any more: reload the page, it says what to do."));
      if (!answer.ok) return lost(tr("The supervisor answers with status {status}.", { status: answer.status }));
      take(await answer.json());
      if (!stream) connect();
    } catch {
      lost(tr("The supervisor cannot be reached."));
    } finally {
      if (!stream || stream.readyState !== EventSource.OPEN) poll = setTimeout(look, running || lostAt ? FAST : SLOW);
    }
  };

  const connect = () => {
    stream = new EventSource(`${base}/self-upgrade/events?${said}`);
    stream.addEventListener("view", (event) => take(JSON.parse(event.data)));
    stream.addEventListener("open", () => { clearTimeout(poll); heard(); });
    const end = () => { stream?.close(); stream = null; clearTimeout(poll); poll = setTimeout(look, FAST); };
    stream.addEventListener("bye", end);
    stream.addEventListener("error", end);
  };

  // ---- Dockrev itself

  const main = async () => {
    clearTimeout(watch);
    let told = "", up = false;
    try {
      const answer = await ask("/api/health", 1500);
      up = answer.ok;
      told = up ? tr("answers") : tr("status {status} from the proxy", { status: answer.status });
      if (up) {
        const version = await (await ask("/api/version", 1500)).json();
        if (typeof version.version === "string") told = version.version;
      }
    } catch {
      told = up ? tr("answers") : tr("offline, still asking");
    }
    if ($("main-state")) {
      tone("main-state", up ? "ok" : "gone");
      $("main-version").textContent = told;
    }
    watch = setTimeout(main, running || !up ? FAST : SLOW);
  };

  // ---- operations seen before

  const KEY = "supervisor-seen";
  const seen = () => { try { return new Set(JSON.parse(localStorage.getItem(KEY) ?? "[]")); } catch { return new Set(); } };
  const badges = () => {
    const known = seen(), links = [...document.querySelectorAll("#tabs a[data-op]")];
    const first = known.size === 0, pinned = "pinned" in $("log").dataset && $("log").querySelector("ol")?.dataset.op;
    for (const link of links) {
      if (pinned) link.dataset.op === pinned ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
      if (first || link.hasAttribute("aria-current")) known.add(link.dataset.op);
    }
    for (const link of links) known.has(link.dataset.op) ? delete link.dataset.new : link.dataset.new = tr("new");
    const kept = links.map((link) => link.dataset.op).filter((op) => known.has(op));
    try { localStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* then every page starts anew */ }
  };

  // ---- hands

  addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-dialog]");
    if (opener && $("rb") && !event.ctrlKey && !event.metaKey && event.button === 0) {
      event.preventDefault();
      if (opener.getAttribute("aria-disabled") !== "true") $("rb").showModal();
    }
    if (event.target.closest?.("[data-close]")) event.target.closest("dialog")?.close();
    if (event.target.closest?.("[data-refresh]")) { event.preventDefault(); look(); main(); }
  });

  if ($("headline")) {
    running = $("start").querySelector("button").disabled;
    $("log").scrollTop = $("log").scrollHeight;
    badges();
    connect();
    main();
  }
}
