// The forms of the reference at /docs/, which send requests to this server. The auth token is only
// in its field: it gets into no address, no storage and no line to copy.
"use strict";

(() => {
  const token = document.getElementById("auth-token");
  if (!token) return;

  // The most characters of a body that are shown.
  const MOST = 200_000;

  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  // Returns the values of the fields of a form that are in this place, without empty ones.
  function valuesIn(form, place) {
    const fields = [...form.querySelectorAll(`[data-in="${place}"]`)];
    return fields.map((field) => [field.dataset.name, field.value.trim()]).filter(([, value]) => value !== "");
  }

  // Returns the request that a form describes, without the auth token.
  function requestOf(form) {
    let path = form.dataset.path;
    for (const [name, value] of valuesIn(form, "path")) {
      // Names of models may contain slashes.
      const part = value.split("/").map(encodeURIComponent).join("/");
      path = path.replace(`{${name}}`, () => part);
    }
    const query = new URLSearchParams(valuesIn(form, "query")).toString();
    const headers = valuesIn(form, "header");
    const body = form.querySelector("[data-body]")?.value ?? "";
    if (body !== "") headers.push(["Content-Type", "application/json"]);
    return { method: form.dataset.method, path: query ? `${path}?${query}` : path, headers, body };
  }

  // Writes the line for a shell again, with what the form says now.
  function showCommand(form) {
    const line = document.querySelector(`[data-curl="${CSS.escape(form.dataset.try)}"]`);
    if (!line) return;
    // The address that the server has written into the line.
    form.dataset.origin ??= /'(https?:\/\/[^/']+)/.exec(line.dataset.copy)?.[1] ?? location.origin;
    const { method, path, headers, body } = requestOf(form);
    const words = ["curl -sS"];
    if (method !== "GET" && !(method === "POST" && body !== "")) words.push(`-X ${method}`);
    words.push(quoted(form.dataset.origin + path));
    if ("token" in form.dataset) words.push('-H "Authorization: Bearer $TOKEN"');
    for (const [name, value] of headers) words.push(`-H ${quoted(`${name}: ${value}`)}`);
    if (body !== "") words.push(`-d ${quoted(body)}`);
    line.dataset.copy = words.join(" ");
    line.querySelector("code").textContent = line.dataset.copy;
  }

  // Returns a text as it is shown: JSON with a field in each line, and not without end.
  function readable(text, type) {
    let shown = text;
    if (/json/.test(type)) {
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
    }
    return shown.length > MOST ? `${shown.slice(0, MOST)}\n… (${shown.length} characters)` : shown;
  }

  function box(label, text) {
    return element("pre", { tabindex: "0", role: "group", "aria-label": label }, element("code", {}, text));
  }

  const lines = (headers) => headers.map(([name, value]) => `${name}: ${value}`).join("\n");

  // Reads a body as it arrives, and shows it.
  async function read(response, into) {
    const reader = response.body?.getReader();
    if (!reader) return "";
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return text + decoder.decode();
      text += decoder.decode(value, { stream: true });
      if (text.length < MOST) into.textContent = text;
    }
  }

  async function send(form) {
    const stop = form.querySelector("[data-stop]");
    const tried = form.querySelector("[data-tried]");
    const aborter = new AbortController();
    const { method, path, headers, body } = requestOf(form);
    const shown = [...headers];
    const secret = token.value.trim();
    if (secret !== "" && "token" in form.dataset) {
      headers.push(["Authorization", `Bearer ${secret}`]);
      shown.push(["Authorization", "Bearer (the auth token above)"]);
    }
    const status = element("p", { role: "status" }, "Sending …");
    tried.replaceChildren(
      element("p", { class: "label" }, "Request"),
      box("The request", [`${method} ${path}`, lines(shown), ...(body === "" ? [] : ["", body])].join("\n")),
      element("p", { class: "label" }, "Response"),
      status,
    );
    tried.hidden = false;
    stop.hidden = false;
    stop.onclick = () => aborter.abort();
    const began = performance.now();
    try {
      // Neither a cookie of the panel nor a stored answer takes part.
      const response = await fetch(path, {
        method,
        headers,
        body: body === "" ? undefined : body,
        credentials: "omit",
        cache: "no-store",
        signal: aborter.signal,
      });
      status.textContent = `${response.status} ${response.statusText}, ${Math.round(performance.now() - began)} ms`;
      const received = box("The body of the response", "");
      tried.append(box("The headers of the response", lines([...response.headers])), received);
      const code = received.querySelector("code");
      const text = await read(response, code);
      code.textContent = readable(text, response.headers.get("content-type") ?? "") || "(no body)";
    } catch (error) {
      const isStopped = error.name === "AbortError";
      status.textContent = isStopped ? "Stopped." : `No response: ${error.message}. Is the server running?`;
    } finally {
      stop.hidden = true;
    }
  }

  // Opens the request that the address names, or the one that contains what it names.
  function openNamed() {
    const named = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    const folded = named?.closest("details");
    if (!folded || folded.open) return;
    folded.open = true;
    named.scrollIntoView();
  }

  for (const form of document.querySelectorAll("form[data-try]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
    form.addEventListener("input", () => showCommand(form));
  }
  // A page that comes back from the browser's memory has forgotten the auth token, too.
  addEventListener("pagehide", () => { token.value = ""; });
  addEventListener("hashchange", openNamed);
  openNamed();
})();
