// Cards of settings: each says whether what it shows is saved. The text belongs to the browser, so a morph leaves it be.
{
  const WORDS = { dirty: ["warn", "Not saved yet"], saving: ["run", "Saving…"], saved: ["ok", "Saved"], error: ["bad", "Not saved"] };
  const tell = (form, state) => {
    const place = form.querySelector("[data-card-state]");
    if (!place) return;
    [place.dataset.s, place.textContent] = WORDS[state] ?? ["", ""];
  };
  const isCard = (form) => form instanceof HTMLFormElement && "card" in form.dataset;

  addEventListener("input", ({ target }) => { if (isCard(target.form)) tell(target.form, "dirty"); });
  document.addEventListener("htmx:beforeSend", ({ detail }) => { if (isCard(detail.elt)) tell(detail.elt, "saving"); });
  document.addEventListener("htmx:afterRequest", ({ detail }) => { if (isCard(detail.elt)) tell(detail.elt, detail.successful ? "saved" : "error"); });
  addEventListener("beforeunload", (event) => {
    if ([...document.querySelectorAll("form[data-card] [data-card-state]")].some((place) => place.dataset.s === "warn")) event.preventDefault();
  });
}
