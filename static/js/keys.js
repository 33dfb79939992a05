// Shortcuts and their sheet. Single keys do nothing while something is typed or a dialog is open, and can be switched off
// (WCAG 2.1.4). None of them starts anything.
{
  const KEPT = "dockrev-keys", PATIENCE = 1500;
  const sheet = document.getElementById("keys");
  const palette = document.getElementById("palette");
  let went = 0; // when `g` was pressed

  const kept = () => { try { return localStorage.getItem(KEPT); } catch { return null; } };
  let on = kept() !== "off";
  const typing = (el) => el instanceof Element && (el.matches("input:not([type=checkbox], [type=radio]), textarea, select") || el.isContentEditable);

  const explain = () => {
    if (document.querySelector("dialog:modal")) return;
    sheet.querySelector("[data-keys-on]").checked = on;
    sheet.showModal();
  };

  const single = {
    "?": explain,
    "/": () => {
      const field = document.querySelector("main input[type=search]");
      if (field) { field.focus(); field.select(); } else document.dispatchEvent(new CustomEvent("dockrev-palette"));
    },
    c: () => document.dispatchEvent(new CustomEvent("dockrev-sheet", { detail: { href: "/checks/new", opener: document.activeElement } })),
    g: () => { went = Date.now(); },
  };

  const press = (event) => {
    if (event.isComposing || event.defaultPrevented || event.repeat) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault(); // also from a field: it writes nothing
      if (palette.open) palette.close(); else document.dispatchEvent(new CustomEvent("dockrev-palette"));
      return;
    }
    if (!on || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog:modal")) return;
    const place = Date.now() - went < PATIENCE && [...document.querySelectorAll("#palette [data-key]")].find((el) => el.dataset.key === event.key);
    went = 0;
    if (place) { event.preventDefault(); location.assign(place.dataset.href); return; }
    if (!Object.hasOwn(single, event.key)) return;
    event.preventDefault();
    single[event.key]();
  };

  if (sheet && palette) {
    addEventListener("keydown", press);
    document.addEventListener("dockrev-keys", explain);
    sheet.addEventListener("click", (event) => { if (event.target === sheet || event.target.closest("[data-shut]")) sheet.close(); });
    sheet.querySelector("[data-keys-on]").addEventListener("change", (event) => {
      on = event.target.checked;
      try { on ? localStorage.removeItem(KEPT) : localStorage.setItem(KEPT, "off"); } catch { /* lasts until the page is left */ }
    });
  }
}
