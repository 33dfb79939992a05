// Busy buttons, typed confirmation, copy.
{
  const busy = (form, submitter, on) => {
    for (const button of form.querySelectorAll("button")) {
      if (on && !button.disabled) { button.disabled = true; button.dataset.busy = ""; }
      else if (!on && "busy" in button.dataset) { button.disabled = false; delete button.dataset.busy; }
    }
    if (submitter) on ? submitter.setAttribute("aria-busy", "true") : submitter.removeAttribute("aria-busy");
  };
  document.addEventListener("htmx:beforeSend", ({ detail }) => {
    if (detail.elt instanceof HTMLFormElement && detail.requestConfig.verb !== "get") busy(detail.elt, detail.requestConfig.triggeringEvent?.submitter, true);
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (!(detail.elt instanceof HTMLFormElement) || detail.requestConfig.verb === "get") return;
    busy(detail.elt, detail.requestConfig.triggeringEvent?.submitter, false);
    if (detail.successful && !detail.elt.matches("[hx-trigger], [data-card=keep]")) detail.elt.reset();
    check(detail.elt);
  });

  const check = (form) => {
    if (!form.matches?.("[data-confirm]")) return;
    const button = form.querySelector("button.main");
    if (button && !("busy" in button.dataset)) button.disabled = !form.elements.confirm.checkValidity();
  };
  const checkAll = () => document.querySelectorAll("form[data-confirm]").forEach(check);
  addEventListener("input", (event) => { if (event.target.form) check(event.target.form); });
  document.addEventListener("htmx:afterSwap", checkAll);
  checkAll();

  const copy = async (text, button) => {
    const label = button.lastChild?.nodeType === Node.TEXT_NODE ? button.lastChild : button.firstChild;
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText(text);
      label.textContent = "Copied";
    } catch { // plain HTTP has no clipboard: select it, so that a key press copies
      const source = button.parentElement.querySelector("pre, dl") ?? document.getElementById(button.dataset.copy);
      if (source) getSelection().selectAllChildren(source);
      label.textContent = "Selected";
    }
    setTimeout(() => { label.textContent = before; }, 2000);
  };
  addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy], [data-log-copy]");
    if (!button) return;
    const source = "logCopy" in button.dataset ? document.querySelector("[data-log] ol") : button.dataset.copy ? document.getElementById(button.dataset.copy) : button.parentElement.querySelector("pre");
    const lines = "logCopy" in button.dataset ? [...source.children].map((li) => [...li.children].map((el) => el.textContent).filter(Boolean).join("  ")).join("\n") : source.innerText;
    copy(lines, button);
  });
}
