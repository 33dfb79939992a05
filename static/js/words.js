// `tr` looks a text up in what the page brought along.
const { lang } = document.documentElement;
const TEXTS = JSON.parse(document.documentElement.dataset.texts || "{}");
const tr = (text, values = {}) => (TEXTS[text] ?? text).replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
