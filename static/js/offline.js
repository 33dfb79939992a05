// The page the service worker answers with when Dockrev cannot be reached: what was known and when, and trying again.
{
  const part = (name) => document.querySelector(`[data-offline=${name}]`);
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const moment = (text) => { const at = new Date(text); return Number.isNaN(at.getTime()) ? null : at; };
  const clock = (at) => at.toLocaleString("en-GB", { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const ago = (at) => {
    const minutes = Math.max(0, Math.round((Date.now() - at) / 60_000));
    if (lang !== "en") {
      const [count, unit] = minutes < 90 ? [minutes, "minute"] : minutes < 2880 ? [Math.round(minutes / 60), "hour"] : [Math.round(minutes / 1440), "day"];
      return new Intl.RelativeTimeFormat(lang).format(-count, unit);
    }
    return minutes < 1 ? "less than a minute ago" : minutes < 90 ? `${plural(minutes, "minute")} ago` : minutes < 2880 ? `${plural(Math.round(minutes / 60), "hour")} ago` : `${plural(Math.round(minutes / 1440), "day")} ago`;
  };

  const known = () => {
    try {
      const found = JSON.parse(localStorage.getItem("dockrev-known"));
      return found && Number.isInteger(found.updates) && moment(found.asOf) ? found : null;
    } catch { return null; }
  };

  const show = () => {
    part("why").textContent = navigator.onLine ? tr("This device is connected, but Dockrev does not answer. It may be restarting, or the way to it is closed.") : tr("This device is offline.");
    const found = known();
    part("known").hidden = !found;
    part("nothing").hidden = Boolean(found);
    if (!found) return;
    const at = moment(found.asOf), checked = found.lastCheckAt && moment(found.lastCheckAt);
    part("at").textContent = clock(at);
    part("at").dateTime = at.toISOString();
    part("ago").textContent = ago(at);
    part("updates").textContent = `${plural(found.updates, "update")} ready`;
    part("held").textContent = Number.isInteger(found.held) ? plural(found.held, "update") : "not known";
    part("house").textContent = Number.isInteger(found.services) && Number.isInteger(found.stacks) ? `${plural(found.services, "service")} in ${plural(found.stacks, "stack")}` : "not known";
    part("checked").textContent = checked ? `${clock(checked)}, ${ago(checked)}` : "not known";
  };

  const WAITS = [5, 10, 20, 40, 60];
  let tries = 0, timer = 0;
  const attempt = async (asked = false) => {
    clearTimeout(timer);
    part("tries").textContent = tr("Trying now.");
    try {
      const answer = await fetch("/api/health", { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(5000) });
      if (answer.ok || answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) { location.reload(); return; }
    } catch { /* not yet */ }
    const wait = WAITS[Math.min(tries, WAITS.length - 1)] * (0.75 + Math.random() / 2);
    tries = asked ? 0 : tries + 1;
    part("tries").textContent = tr("No answer. The next try is in {n} s.", { n: Math.round(wait) });
    timer = setTimeout(attempt, wait * 1000);
    show();
  };

  part("now").addEventListener("click", () => attempt(true));
  addEventListener("online", () => attempt());
  addEventListener("offline", show);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) attempt(); });
  show();
  timer = setTimeout(attempt, 5000);
}
