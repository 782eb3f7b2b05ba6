// The search of everything while one types: a dialog that Ctrl-K (Cmd-K) and "/" open. It shows what
// the search page shows. Without it, the box at the top does the same.
"use strict";

(() => {
  const box = document.getElementById("search-all");
  const csrf = box?.form?.elements.csrf?.value;
  if (!box || !csrf || typeof HTMLDialogElement !== "function") return;

  // How long nobody must have typed before results are fetched.
  const REST = 150;

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  const list = element("div", { role: "listbox", id: "palette-list", "aria-label": "Results" });
  const input = element("input", {
    type: "search", name: "q", id: "palette-q", role: "combobox", autocomplete: "off", spellcheck: "false",
    maxlength: "600", placeholder: "Search everything, or type an action: adjust ada",
    "aria-label": "Search everything", "aria-autocomplete": "list", "aria-expanded": "false",
    "aria-controls": list.id,
  });
  const token = element("input", { type: "hidden", name: "csrf", value: csrf });
  const status = element("p", { class: "hidden", role: "status" });
  // Enter without a chosen result sends this form, like the one of the box at the top.
  const form = element("form", { method: "post", action: box.form.getAttribute("action") }, token, input);
  const dialog = element("dialog", { class: "palette", "aria-label": "Search" }, form, list, status);
  document.body.append(dialog);

  let timer = 0;
  let request = null;
  let active = -1;

  const options = () => [...list.querySelectorAll('[role="option"]')];

  function choose(place) {
    const all = options();
    active = all.length === 0 ? -1 : Math.max(-1, Math.min(place, all.length - 1));
    for (const [index, option] of all.entries()) option.setAttribute("aria-selected", String(index === active));
    if (active < 0) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    input.setAttribute("aria-activedescendant", all[active].id);
    all[active].scrollIntoView({ block: "nearest" });
  }

  function show(...children) {
    list.replaceChildren(...children);
    input.setAttribute("aria-expanded", String(options().length > 0));
    choose(-1);
  }

  async function find() {
    request?.abort();
    const typed = input.value.trim();
    if (typed === "") {
      show();
      status.textContent = "";
      return;
    }
    request = new AbortController();
    const { signal } = request;
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new URLSearchParams({ csrf, q: typed, results: "1" }),
        headers: { "X-Tollgate-Background": "1" },
        signal,
      });
      if (signal.aborted) return;
      // The session has ended, or the server is busy: Enter leads to a page that says so.
      if (!answer.ok || answer.redirected) return show();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (signal.aborted) return;
      const found = page.querySelector("[data-status]");
      show(...(found ? [found] : []));
      status.textContent = found?.dataset.status ?? "";
    } catch {
      // Stopped by the next letter, or there is no connection: Enter still works.
    }
  }

  function open() {
    if (dialog.open) return;
    dialog.showModal();
    choose(-1);
    input.select();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(find, REST);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const last = options().length - 1;
    const moves = {
      ArrowDown: () => choose(active >= last ? 0 : active + 1),
      ArrowUp: () => choose(active <= 0 ? last : active - 1),
    };
    // In the middle of the text these keys move the cursor.
    if (active >= 0) {
      moves.Home = () => choose(0);
      moves.End = () => choose(last);
    }
    if (event.key in moves && last >= 0) {
      event.preventDefault();
      moves[event.key]();
    } else if (event.key === "Enter" && active >= 0) {
      event.preventDefault();
      options()[active].click();
    } else if (event.key === "Escape") {
      // A search field would only be emptied.
      event.preventDefault();
      dialog.close();
    }
  });
  dialog.addEventListener("click", (event) => {
    // A click beside the dialog, on its backdrop.
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    clearTimeout(timer);
    request?.abort();
  });

  // Before other scripts, which may have a shortcut of the same key.
  document.addEventListener("keydown", (event) => {
    // On a Mac, Ctrl-K in a field deletes to the end of the line.
    const isControl = /Mac|iP/.test(navigator.platform) ? event.metaKey : event.ctrlKey;
    const withControl = isControl && !event.altKey && !event.shiftKey;
    const opensWithControl = withControl && event.key.toLowerCase() === "k";
    const isTyping = event.target.closest?.("input, select, textarea, [contenteditable]");
    const isAlone = !event.ctrlKey && !event.metaKey && !event.altKey;
    const opensAlone = event.key === "/" && isAlone && !isTyping && "shortcuts" in document.body.dataset;
    if (!opensWithControl && !opensAlone) return;
    if (document.querySelector("dialog[open]:not(.palette)")) return;
    event.preventDefault();
    event.stopPropagation();
    open();
  }, { capture: true });
})();
