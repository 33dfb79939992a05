// <time datetime data-fmt> in the reader's own zone; relative ones stay true while the page is open.
{
  const two = (n) => String(n).padStart(2, "0");
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const clock = (d) => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  const zone = new Intl.DateTimeFormat([], { timeZoneName: "short" });
  const zoneOf = (d) => zone.formatToParts(d).find((part) => part.type === "timeZoneName")?.value ?? "";

  const away = new Intl.RelativeTimeFormat(lang);
  const dates = new Intl.DateTimeFormat(lang, { day: "numeric", month: "short", year: "numeric" });
  const days = new Intl.DateTimeFormat(lang, { day: "numeric", month: "short" });

  const relative = (d) => {
    const delta = (Date.now() - d) / 1000, span = Math.abs(delta);
    const past = delta >= 0;
    if (span < 10) return past ? tr("just now") : tr("in a moment");
    const whole = (length) => ({ n: Math.floor(span / length) });
    if (span < 60) return past ? tr("{n} s ago", whole(1)) : tr("in {n} s", whole(1));
    if (span < 3600) return past ? tr("{n} min ago", whole(60)) : tr("in {n} min", whole(60));
    if (span < 86400) return past ? tr("{n} h ago", whole(3600)) : tr("in {n} h", whole(3600));
    const days = Math.floor(span / 86400);
    if (lang !== "en") return away.format(past ? -days : days, "day");
    const text = `${days} day${days === 1 ? "" : "s"}`;
    return past ? `${text} ago` : `in ${text}`;
  };

  const FORMS = {
    rel: relative,
    clock,
    hm: (d) => `${two(d.getHours())}:${two(d.getMinutes())}`,
    date: (d) => lang !== "en" ? dates.format(d) : `${d.getDate()} ${MONTHS[d.getMonth()]} ${d.getFullYear()}`,
    stamp: (d) => d.toDateString() === new Date().toDateString() ? clock(d) : `${lang !== "en" ? days.format(d) : `${d.getDate()} ${MONTHS[d.getMonth()]}`} ${two(d.getHours())}:${two(d.getMinutes())}`,
  };

  const show = (el) => {
    const at = new Date(el.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const text = (FORMS[el.dataset.fmt] ?? FORMS.stamp)(at);
    if (el.textContent !== text) el.textContent = text;
    if (!el.dataset.local) {
      el.dataset.local = "1";
      el.title = `${FORMS.date(at)}, ${clock(at)} ${zoneOf(at)}`;
    }
  };
  const all = (root = document) => root.querySelectorAll?.("time[data-fmt]").forEach(show);

  all();
  setInterval(() => document.querySelectorAll("time[data-fmt=rel]").forEach(show), 10_000);
  new MutationObserver((records) => {
    for (const record of records) for (const node of record.addedNodes) {
      if (node.nodeType !== Node.ELEMENT_NODE) continue;
      node.matches("time[data-fmt]") ? show(node) : all(node);
    }
  }).observe(document.body, { childList: true, subtree: true });
  document.addEventListener("htmx:afterSwap", () => all());
}
