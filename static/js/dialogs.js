// The one dialog: links with data-sheet open their page in it; without JavaScript they are ordinary links.
{
  const dialog = document.getElementById("dialog");
  let opener = null;

  const show = (href, from, link) => {
    opener = dialog.open ? opener : from;
    link?.setAttribute("aria-busy", "true");
    htmx.ajax("GET", href, { target: "#dialog", swap: "innerHTML", source: dialog }).finally(() => link?.removeAttribute("aria-busy"));
  };
  document.addEventListener("dockrev-sheet", ({ detail }) => show(detail.href, detail.opener));

  addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-sheet]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      if (link.getAttribute("aria-busy") === "true") return;
      show(link.getAttribute("href"), link, link);
      return;
    }
    const close = event.target.closest?.("[data-close]");
    if (close && dialog.open && dialog.contains(close)) { event.preventDefault(); dialog.close(); }
    if (event.target === dialog) dialog.close(); // the backdrop
    event.target.closest?.("[data-dismiss]")?.closest(".toast")?.remove();
  });

  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target === dialog && !dialog.open && dialog.firstElementChild) dialog.showModal();
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful && detail.requestConfig.verb !== "get" && dialog.open && dialog.contains(detail.elt)) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    // after a morph the opener may be another node with the same address
    const back = opener?.isConnected ? opener : opener?.matches("a[data-sheet]") && document.querySelector(`a[data-sheet][href="${CSS.escape(opener.getAttribute("href"))}"]`);
    if (back) back.focus();
    opener = null;
  });

  // a modal dialog makes the rest inert: messages are shown inside it while it is open
  const toasts = document.getElementById("toasts");
  new MutationObserver((records) => {
    for (const record of records) for (const node of record.addedNodes) {
      if (node.nodeType !== Node.ELEMENT_NODE) continue;
      const bad = node.dataset.toast === "bad";
      if (dialog.open && bad) (dialog.querySelector("[data-messages]") ?? dialog.firstElementChild).append(node);
      if (!("stay" in node.dataset)) setTimeout(() => { if (!node.matches(":hover, :focus-within")) node.remove(); }, bad ? 20_000 : 6000);
    }
    while (toasts.children.length > 4) toasts.firstElementChild.remove();
  }).observe(toasts, { childList: true });
}
