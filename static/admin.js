// Conveniences of the panel. Every page works without them: nothing here is the only way to do
// something.
"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Storage may be disabled. Then nothing is remembered.
const remember = {
  get(key) { try { return localStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { localStorage.setItem(key, value); } catch { /* not remembered */ } },
};

// Background requests are not shown as a page, so they must not use up the messages for the next
// page.
const inBackground = { headers: { "X-Tollgate-Background": "1" } };

function button(label, className, onClick) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = label;
  made.addEventListener("click", onClick);
  return made;
}

// Shows elements that need scripts, and hides elements that are needed only without them.
function showScripted(root) {
  for (const element of all(".scripted", root)) element.hidden = false;
  for (const element of all(".unscripted", root)) element.hidden = true;
}

// Keeps menus open or closed, as they were left.
function rememberOpen() {
  for (const details of all("details[data-remember]")) {
    const key = `open ${details.dataset.remember} `;
    const stored = remember.get(key);
    if (stored !== null) details.open = stored === "yes";
    details.addEventListener("toggle", () => remember.set(key, details.open ? "yes" : "no"));
  }
  // A menu that covers the page closes with Esc and with a click outside of it.
  const menus = all(".account, .buttons .menu, .menu.filters, .menu.choices, .more-places");
  document.addEventListener("click", (event) => {
    for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus.filter((menu) => menu.open)) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

// On a phone the menu is a strip. Scrolls the link to the current page into view.
function showPlace() {
  document.querySelector(".places [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

function filterMenu() {
  for (const box of all("[data-filter]")) {
    const items = all("li", document.getElementById(box.dataset.filter));
    const groups = all(".group", document.getElementById(box.dataset.filter));
    box.addEventListener("input", () => {
      const wanted = box.value.trim().toLowerCase();
      for (const item of items) item.hidden = !item.textContent.toLowerCase().includes(wanted);
      for (const group of groups) group.hidden = all("li", group).every((item) => item.hidden);
    });
  }
}

// Puts a text into the clipboard. Browsers give pages over plain http no other way than to copy what
// is selected.
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden";
  document.body.append(field);
  const focused = document.activeElement;
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  if (!isCopied) throw new Error("the browser does not copy");
}

function addCopyButtons(root) {
  for (const element of all("[data-copy]", root)) {
    // In a table the button is empty, and the stylesheet draws an icon into it.
    const label = element.closest("td") ? "" : "Copy";
    const copy = button(label, "copy quiet", async () => {
      try {
        await copyText(element.dataset.copy);
        copy.textContent = "Copied";
      } catch {
        copy.textContent = "Copying failed";
      }
      setTimeout(() => { copy.textContent = label; }, 2000);
    });
    copy.setAttribute("aria-label", `Copy ${element.dataset.copyName ?? element.dataset.copy}`);
    element.after(copy);
  }
}

// Moves the focus to the search box when "/" is pressed. Returns whether there is one.
function focusSearch(key) {
  const target = document.querySelector(`[data-shortcut="${CSS.escape(key)}"]`);
  target?.focus();
  target?.select();
  return Boolean(target);
}

// Moves the focus to the link of the next row, or of the one before. Enter then follows it.
function moveToRow(step) {
  const linkOf = (row) => row.querySelector("a.main") ?? row.querySelector("a");
  const isShown = (row) => row.getClientRects().length > 0;
  const rows = all("main tbody tr, main .activity > li").filter((row) => linkOf(row) && isShown(row));
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step;
  if (!rows[next]) return;
  linkOf(rows[next]).focus();
  rows[next].scrollIntoView({ block: "nearest" });
}

function tickRow() {
  document.activeElement.closest("tr")?.querySelector(".tick input")?.click();
}

// The time in which the second of two keys follows the first.
const secondKeyWithin = 1500;

// Shortcuts of one key, or of two keys one after the other. Each administrator can switch them off
// (WCAG 2.1.4). The list of those that lead to a page is the dialog that "?" opens.
function addShortcuts() {
  const dialog = document.getElementById("keys");
  if (!("shortcuts" in document.body.dataset) || !dialog) return;
  const places = new Map(all("[data-href]", dialog).map((row) => [row.dataset.keys, row.dataset.href]));
  const actions = {
    j: () => moveToRow(1),
    k: () => moveToRow(-1),
    x: tickRow,
    "?": () => dialog.showModal(),
  };
  let first = "";
  let pressed = 0;
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest('input:not([type="checkbox"]), select, textarea, [contenteditable]');
    const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
    if (event.defaultPrevented || isTyping || hasModifier || document.querySelector("dialog[open]")) return;
    const keys = Date.now() - pressed < secondKeyWithin ? `${first} ${event.key}` : event.key;
    first = event.key === "g" ? "g" : "";
    pressed = first ? Date.now() : 0;
    if (places.has(keys)) location.assign(places.get(keys));
    else if (Object.hasOwn(actions, keys)) actions[keys]();
    else if (!focusSearch(keys)) return;
    event.preventDefault();
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
}

// Tells the server the browser's time zone when somebody signs in. It is kept only for those who
// have not chosen one.
function tellTimeZone() {
  for (const field of all("input[data-time-zone]")) {
    field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  }
}

// Cuts an auth token that is pasted into a search or a filter to the characters that lists show,
// before it gets into an address. (The server redirects, too.)
function cutAuthTokens() {
  const cut = (box) => {
    const isSent = box.form?.method === "get" || box.dataset?.suggest;
    const text = isSent ? box.value.replace(/tg_[\w-]{17,}|\b[\da-fA-F]{40}\b/g, (token) => token.slice(0, 10)) : box.value;
    if (text !== box.value) box.value = text;
  };
  // Before any other script reads the box.
  document.addEventListener("input", (event) => cut(event.target), { capture: true });
  document.addEventListener("submit", (event) => {
    for (const box of all("input", event.target)) cut(box);
  }, { capture: true });
}

// Ticks all rows of the page, or a range of them with the shift key, and counts the ticked rows.
function countSelected() {
  for (const form of all("form.rows")) {
    const boxes = all('input[name="id"]', form);
    const everything = form.querySelector("[data-select-all]");
    const matching = form.querySelector('input[name="all"]');
    const said = form.querySelector("[data-selected]");
    if (!everything || !said) continue;
    let last = null;
    const show = () => {
      const ticked = boxes.filter((box) => box.checked).length;
      everything.checked = ticked === boxes.length;
      everything.indeterminate = ticked > 0 && ticked < boxes.length;
      said.textContent = matching?.checked ? "All that match are selected" : `${ticked} of ${boxes.length} selected`;
    };
    everything.addEventListener("change", () => {
      for (const box of boxes) box.checked = everything.checked;
      show();
    });
    form.addEventListener("click", (event) => {
      const place = boxes.indexOf(event.target);
      if (place < 0) return;
      if (event.shiftKey && last !== null) {
        const [from, to] = [Math.min(last, place), Math.max(last, place)];
        for (const box of boxes.slice(from, to + 1)) box.checked = boxes[place].checked;
      }
      last = place;
      show();
    });
    matching?.addEventListener("change", show);
    show();
  }
}

// Shows the balance after an adjustment while the amount is typed. The server calculates its own.
function previewBalance() {
  for (const form of all("form[data-balance]")) {
    const amount = form.querySelector('input[name="amount"]');
    const line = form.querySelector("[data-preview]");
    if (!amount || !line) continue;
    const show = () => {
      const typed = amount.value.trim().replace(/[\u2212\u2013]/g, "-");
      const text = /^[+-]?\d{1,3}(,\d{3})+$/.test(typed) ? typed.replaceAll(",", "") : typed;
      if (!/^[+-]?\d{1,18}$/.test(text)) {
        line.textContent = "";
        return;
      }
      const before = BigInt(form.dataset.balance);
      const after = before + BigInt(text.replace(/^\+/, ""));
      const written = (number) => number.toLocaleString("en-US");
      line.textContent = after < 0n
        ? `The balance is only ${written(before)}.`
        : `${written(before)} → ${written(after)}`;
    };
    amount.addEventListener("input", show);
    show();
  }
}

// Suggests names of users while one is typed.
function suggestUsers() {
  for (const input of all("input[data-suggest]")) {
    const list = document.createElement("datalist");
    list.id = `${input.id || input.name}-suggestions`;
    input.after(list);
    input.setAttribute("list", list.id);
    let wanted = "";
    input.addEventListener("input", async () => {
      wanted = input.value.trim();
      const asked = wanted;
      if (asked.length < 2) return;
      try {
        const answer = await fetch(`${input.dataset.suggest}?q=${encodeURIComponent(asked)}`, inBackground);
        if (!answer.ok || asked !== wanted) return;
        list.replaceChildren(...(await answer.json()).map((name) => new Option(name, name)));
      } catch { /* no suggestions; the name can be typed in full */ }
    });
  }
}

// Adds buttons that fill in today or the present time, in the administrator's time zone.
function addNowButtons() {
  const now = document.body.dataset.now;
  if (!now) return;
  for (const input of all('input[type="date"], input[type="datetime-local"]')) {
    const isDay = input.type === "date";
    const fill = button(isDay ? "Today" : "Now", "copy quiet", () => {
      input.value = isDay ? now.slice(0, 10) : now;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
    const label = input.labels?.[0]?.textContent.trim() ?? input.getAttribute("aria-label") ?? "";
    fill.setAttribute("aria-label", `${label}: ${fill.textContent.toLowerCase()}`);
    input.after(fill);
  }
}

// Reloads elements that show work in the background, until the work has ended.
function refresh() {
  for (const element of all("[data-refresh]")) {
    const seconds = Number(element.dataset.refresh);
    const again = async () => {
      try {
        const answer = await fetch(location.href, inBackground);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = answer.ok ? page.getElementById(element.id) : null;
        if (!fresh) return;
        element.replaceChildren(...fresh.childNodes);
        showScripted(element);
        addCopyButtons(element);
        if ("refresh" in fresh.dataset) setTimeout(again, seconds * 1000);
      } catch {
        setTimeout(again, seconds * 5000);
      }
    };
    setTimeout(again, seconds * 1000);
  }
}

// Leaves empty filters out of the address, and a preset of days where days are typed.
function tidyFilters() {
  for (const form of all(".filters form")) {
    for (const select of all("select", form)) {
      const days = all(`[name="${select.name}_from"], [name="${select.name}_to"]`, form);
      select.addEventListener("change", () => { for (const day of days) day.value = ""; });
      for (const day of days) day.addEventListener("input", () => { select.value = ""; });
    }
    form.addEventListener("formdata", (event) => {
      for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
    });
  }
}

// Keeps a page up to date that shows the present: every few seconds it replaces the parts that have
// changed. It never touches a part that has the focus or selected text, leaves open what is open,
// and rests while nobody can see the page, or while it is paused.
function stayCurrent() {
  const home = document.querySelector("[data-live]");
  if (!home) return;
  const pause = home.querySelector("[data-pause]");
  const period = Number(home.dataset.live) * 1000;
  const served = new Map(all("[data-part]").map((part) => [part.id, part.innerHTML]));
  let timer = 0;
  let since = Date.now();
  let isPaused = remember.get("updates") === "paused";
  let hasEnded = false;

  const isInUse = (part) => {
    const selection = getSelection();
    return part.contains(document.activeElement)
      || (selection && !selection.isCollapsed && selection.containsNode(part, true));
  };
  const replace = (part, fresh) => {
    const open = all("details", part).map((details) => details.open);
    part.replaceChildren(...fresh.childNodes);
    for (const [place, details] of all("details", part).entries()) details.open = open[place] ?? details.open;
    showScripted(part);
    addCopyButtons(part);
  };
  const update = async () => {
    since = Date.now();
    const answer = await fetch(location.href, inBackground);
    // The session has ended: what is shown stays, and the next click leads to the sign-in page.
    hasEnded = answer.redirected;
    if (hasEnded || !answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of all("[data-part]")) {
      const fresh = page.getElementById(part.id);
      if (!fresh || served.get(part.id) === fresh.innerHTML || isInUse(part)) continue;
      served.set(part.id, fresh.innerHTML);
      replace(part, fresh);
    }
  };
  const schedule = () => {
    clearTimeout(timer);
    if (isPaused || hasEnded || document.hidden) return;
    // Without an answer, the next one is asked for all the same.
    const again = () => update().catch(() => {}).then(schedule);
    timer = setTimeout(again, Math.max(0, since + period - Date.now()));
  };
  const show = () => { pause.textContent = isPaused ? "Resume updates" : "Pause updates"; };

  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    remember.set("updates", isPaused ? "paused" : "running");
    show();
    schedule();
  });
  document.addEventListener("visibilitychange", schedule);
  show();
  schedule();
}

// Ignores a second click on a button that was pressed. (The server does not rely on this.)
function sendOnce() {
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
    // If the request was stopped, the form can be sent again.
    setTimeout(() => { delete event.target.dataset.sent; }, 5000);
  });
  addEventListener("pageshow", () => {
    for (const form of all("form[data-sent]")) delete form.dataset.sent;
  });
}

// Before the other functions change what was served.
stayCurrent();
showScripted(document);
rememberOpen();
showPlace();
filterMenu();
addCopyButtons(document);
addShortcuts();
tellTimeZone();
cutAuthTokens();
countSelected();
previewBalance();
suggestUsers();
addNowButtons();
tidyFilters();
refresh();
sendOnce();
document.querySelector(".error-summary")?.focus();
