// The reader's language: `tr` looks a text of a script up in what the page brought along (docs/languages.md).
const { lang } = document.documentElement;
const TEXTS = JSON.parse(document.documentElement.dataset.texts || "{}");
const tr = (text, values = {}) => (TEXTS[text] ?? text).replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
