// The command palette: one field over a list of places and actions (ARIA: combobox with a listbox). Actions lead to
// their form; nothing is started from here.
{
  const MOST = 50;
  const dialog = document.getElementById("palette");
  const field = document.getElementById("palette-q"), list = document.getElementById("palette-list"), says = document.getElementById("palette-says");
  let fixed = [], places = [], opener = null, failed = "";

  const part = (tag, text) => { const el = document.createElement(tag); el.textContent = text; return el; };
  const option = ({ name, stack, href }, index) => {
    const el = document.createElement("li");
    Object.assign(el, { role: "option", id: `po-s${index}`, ariaSelected: "false" });
    el.dataset.href = href;
    el.append(part("span", name), part("small", stack === null ? tr("Stack") : tr("Service in {stack}", { stack })));
    return el;
  };

  // 0 is best; beginnings before words before anything, and every word of the query has to be somewhere
  const rank = (el, words) => {
    const name = el.firstElementChild.textContent.toLowerCase();
    const all = el.id.startsWith("po-s") ? `${name} ${el.children[1].textContent.toLowerCase()}` : name;
    if (!words.every((word) => all.includes(word))) return -1;
    if (name === words.join(" ")) return 0;
    if (name.startsWith(words[0])) return 1;
    return name.split(/[^\p{L}\p{N}]+/u).some((each) => each.startsWith(words[0])) ? 2 : 3;
  };

  const current = () => list.querySelector("[aria-selected=true]");
  const select = (el) => {
    const before = current();
    if (before) before.ariaSelected = "false";
    if (!el) { field.removeAttribute("aria-activedescendant"); return; }
    el.ariaSelected = "true";
    field.setAttribute("aria-activedescendant", el.id);
    el.scrollIntoView({ block: "nearest" });
  };

  const show = (keep = false) => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean), chosen = keep && current();
    let found = fixed.filter((el) => !("off" in el.dataset));
    if (words.length) {
      found = [...found, ...places].map((el) => [rank(el, words), el]).filter(([at]) => at >= 0).sort((a, b) => a[0] - b[0]).map(([, el]) => el);
    }
    const more = found.length - MOST;
    list.replaceChildren(...found.slice(0, MOST));
    field.setAttribute("aria-expanded", String(found.length > 0));
    select(chosen && found.includes(chosen) ? chosen : found[0]);
    says.textContent = !found.length ? `${tr("Nothing is called that.")}${failed && ` ${failed}`}` : more > 0 ? tr("{n} more; type on.", { n: more }) : words.length ? failed : "";
  };

  const read = async () => {
    try {
      const answer = await fetch("/palette", { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      places = (await answer.json()).places.map(option);
      failed = "";
    } catch { failed = tr("Services and stacks could not be read: Dockrev did not answer."); }
    if (dialog.open) show(true);
  };

  const open = () => {
    if (dialog.open || document.querySelector("dialog:modal")) return;
    opener = document.activeElement;
    field.value = "";
    dialog.showModal();
    show();
    read();
  };

  const deeds = {
    keys: () => document.dispatchEvent(new CustomEvent("dockrev-keys")),
    theme: () => document.querySelector("[data-theme-toggle]").click(),
    install: () => document.dispatchEvent(new CustomEvent("dockrev-install")),
    sheet: (href) => document.dispatchEvent(new CustomEvent("dockrev-sheet", { detail: { href, opener } })),
  };

  const go = (el, apart = false) => {
    if (!el) return;
    const { href, do: what } = el.dataset;
    if (apart && href) { window.open(href, "_blank", "noopener"); return; }
    dialog.close();
    if (what) deeds[what](href); else location.assign(href);
  };

  const KEYS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
  if (dialog) {
    fixed = [...list.children];
    field.addEventListener("input", () => show());
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Enter") { event.preventDefault(); go(current(), event.ctrlKey || event.metaKey); return; }
      const by = KEYS[event.key], all = [...list.children];
      if (!by || !all.length) return;
      event.preventDefault();
      const at = all.indexOf(current()) + by;
      select(all[Math.abs(by) === 1 ? (at + all.length) % all.length : Math.max(0, Math.min(all.length - 1, at))]);
    });
    list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    list.addEventListener("click", (event) => go(event.target.closest("li"), event.ctrlKey || event.metaKey));
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    document.addEventListener("dockrev-palette", open);
    for (const button of document.querySelectorAll("[data-palette]")) {
      button.hidden = false; // where this does not run, nothing promises it
      button.addEventListener("click", open);
    }
  }
}
