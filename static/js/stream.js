// A shared worker: listens once for all tabs of this browser, since HTTP/1.1 allows six connections to one address.
// Each tab says how old it is when it joins and is told what has happened since, so that none misses a moment.
{
  const KEEP = 120_000, MOST = 300;
  const tabs = new Set();
  let line = null, lost = null, out = false, tongue = "", recent = [], begun = 0;

  const tell = (message) => { for (const tab of tabs) tab.postMessage(message); };
  const told = {
    event: (name, data, id) => {
      const message = { event: name, data, id, at: Date.now() };
      recent = [...recent.filter((each) => message.at - each.at < KEEP), message].slice(-MOST);
      tell(message);
    },
    open: (first) => { lost = null; out = false; tell({ open: first ? "first" : "again" }); },
    beat: () => tell({ beat: true }),
    lost: (how) => { lost = how; tell({ lost }); },
    out: () => { lost = null; out = true; tell({ out }); },
  };

  const state = (tab) => {
    if (lost) tab.postMessage({ lost });
    else if (line?.open) tab.postMessage({ open: "still" });
  };

  const join = (tab, age, speaks) => {
    tabs.add(tab);
    const other = tongue !== speaks;
    tongue = speaks;
    if (!line) {
      begun = Date.now();
      recent = [];
      lost = null;
      out = false;
      line = new DockrevLine("/events?topics=all", told);
      return;
    }
    if (other) { // what was said in the language of before is not told again
      recent = recent.filter(({ data }) => data.startsWith("{"));
      line.renew();
    } else if (out) line.retry(); // a page came in: somebody may have signed in
    state(tab);
    const since = Date.now() - age - 1000;
    const missing = recent.length >= MOST && recent[0].at > since;
    if (age > KEEP || missing) tab.postMessage({ event: "resync_required", data: "{}" });
    else for (const each of recent) if (each.at >= since && each.at >= begun) tab.postMessage(each);
  };

  const leave = (tab) => {
    tabs.delete(tab);
    if (tabs.size || !line) return;
    line.close();
    line = null;
  };

  addEventListener("connect", ({ ports: [tab] }) => {
    tab.onmessage = ({ data }) => {
      if (data.join !== undefined) join(tab, data.join, data.lang);
      else if (data.leave) leave(tab);
      else if (data.wake) { line?.wake(); state(tab); }
      else if (data.retry) line?.retry();
      else if (data.check) line?.renew();
      else if (data.offline) line?.lost();
    };
  });
}
