// Passkeys: asks the authenticator, on the page to sign in and in the settings. Everything else is plain forms.
{
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const WORDS = {
    NotAllowedError: tr("Nothing was done: it was cancelled, took too long, or there is no passkey of this address here."),
    InvalidStateError: tr("This key, phone or computer has a passkey for Dockrev already."),
    SecurityError: tr("The browser allows no passkeys at this address."),
    NotSupportedError: tr("This key cannot keep passkeys, or does not verify its user."),
    AbortError: tr("Nothing was done."),
  };

  // A refusal is asked for as a fragment: that is in the reader's language, JSON never is.
  const send = async (address, fields) => {
    const posted = fields ? { method: "POST", body: new URLSearchParams(fields) } : {};
    const answer = await fetch(address, { headers: { "HX-Request": "true", "HX-Current-URL": location.href }, ...posted });
    const body = await answer.text();
    if (answer.ok) return JSON.parse(body);
    const led = answer.headers.get("HX-Redirect");
    if (led) location.assign(led);
    const told = new DOMParser().parseFromString(body, "text/html").querySelector("[role=alert] p");
    throw new Error(told?.textContent.trim() || tr("Dockrev answered {n}", { n: answer.status }));
  };

  const create = async (options) => {
    const made = await navigator.credentials.create({ publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: (options.excludeCredentials ?? []).map((known) => ({ ...known, id: bytes(known.id) })),
    } });
    return { clientDataJSON: text(made.response.clientDataJSON), attestationObject: text(made.response.attestationObject), made };
  };

  const get = async (options) => {
    const made = await navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: [] } });
    const { clientDataJSON, authenticatorData, signature, userHandle } = made.response;
    return { clientDataJSON: text(clientDataJSON), authenticatorData: text(authenticatorData), signature: text(signature), userHandle: userHandle && text(userHandle), made };
  };

  const perform = async (form, say) => {
    const fields = Object.fromEntries(new FormData(form));
    const options = await send(form.dataset.options, form.dataset.passkey === "enrol" && fields);
    say(tr("Waiting for your key or phone…"));
    const { made, ...response } = await (form.dataset.passkey === "login" ? get : create)(options);
    const credential = JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response, clientExtensionResults: {} });
    const done = await send(form.dataset.finish, { csrf: fields.csrf, next: fields.next ?? "", name: fields.name ?? "", credential });
    location.assign(done.next);
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const place = form.closest("section");
    const line = place.querySelector("[data-passkey-say]");
    const say = (words) => { line.textContent = words; };
    const origin = document.querySelector("[data-origin]")?.dataset.origin;
    form.hidden = false;
    if (!window.PublicKeyCredential) { form.hidden = true; say(isSecureContext ? tr("This browser has no passkeys.") : tr("Browsers have passkeys over https only.")); continue; }
    if (origin && origin !== location.origin) { form.hidden = true; say(tr("Passkeys of this Dockrev work at {origin} only. Open it there.", { origin })); continue; }
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button");
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
      say("");
      try {
        await perform(form, say);
      } catch (error) {
        say(WORDS[error.name] ?? error.message);
      } finally {
        button.disabled = false;
        button.removeAttribute("aria-busy");
      }
    });
  }
}
