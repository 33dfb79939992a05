// Cards of settings: each says whether what it shows is saved. The text belongs to the browser, so a morph leaves it be.
{
  const WORDS = { dirty: ["warn", tr("Not saved yet")], saving: ["run", tr("Saving…")], saved: ["ok", tr("Saved")], error: ["bad", tr("Not saved")] };
  const tell = (form, state) => {
    const place = form.querySelector("[data-card-state]");
    if (!place) return;
    [place.dataset.s, place.textContent] = WORDS[state] ?? ["", ""];
  };
  const isCard = (form) => form instanceof HTMLFormElement && "card" in form.dataset;

  addEventListener("input", ({ target }) => { if (isCard(target.form)) tell(target.form, "dirty"); });
  document.addEventListener("htmx:beforeSend", ({ detail }) => { if (isCard(detail.elt)) tell(detail.elt, "saving"); });
  document.addEventListener("htmx:afterRequest", ({ detail }) => { if (isCard(detail.elt)) tell(detail.elt, detail.successful ? "saved" : "error"); });
  // what was saved is what the form starts from now, so that nothing jumps back before the page renews itself
  const settle = (form) => {
    for (const el of form.elements) {
      if (el.type === "checkbox" || el.type === "radio") el.defaultChecked = el.checked;
      else if (el instanceof HTMLInputElement) el.defaultValue = el.value;
    }
  };
  const clear = (form) => {
    for (const slot of form.querySelectorAll("[data-problem]")) {
      slot.hidden = true;
      document.getElementById(slot.id.replace(/-error$/, ""))?.removeAttribute("aria-invalid");
    }
  };
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const form = detail.requestConfig?.elt;
    if (!isCard(form)) return;
    clear(form);
    if (detail.xhr.status < 400) { if (form.dataset.card === "keep") settle(form); return; }
    const told = new DOMParser().parseFromString(detail.serverResponse, "text/html").querySelector("[data-field]")?.dataset;
    const slot = told && form.querySelector(`[data-problem="${CSS.escape(told.field)}"]`);
    if (!slot) return;
    slot.querySelector("span span").textContent = told.message;
    slot.hidden = false;
    const input = document.getElementById(slot.id.replace(/-error$/, ""));
    input?.setAttribute("aria-invalid", "true");
    input?.focus();
    detail.shouldSwap = false; // said where it belongs
  });
  addEventListener("beforeunload", (event) => {
    if ([...document.querySelectorAll("form[data-card] [data-card-state]")].some((place) => place.dataset.s === "warn")) event.preventDefault();
  });
}
