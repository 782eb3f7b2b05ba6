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

// Keeps menus and filters open or closed, as they were left.
function rememberOpen() {
  for (const details of all("details[data-remember]")) {
    const key = `open ${details.dataset.remember} ${details.dataset.remember === "filters" ? location.pathname : ""}`;
    const stored = remember.get(key);
    if (stored !== null && !(details.open && details.dataset.remember === "filters")) details.open = stored === "yes";
    details.addEventListener("toggle", () => remember.set(key, details.open ? "yes" : "no"));
  }
  // A menu that covers the page closes with Esc and with a click outside of it.
  const menus = all(".account, .buttons .menu");
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
    box.addEventListener("input", () => {
      const wanted = box.value.trim().toLowerCase();
      for (const item of items) item.hidden = !item.textContent.toLowerCase().includes(wanted);
    });
  }
}

function addCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const element of all("[data-copy]", root)) {
    // In a table the button is empty, and the stylesheet draws an icon into it.
    const label = element.closest("td") ? "" : "Copy";
    const copy = button(label, "copy quiet", async () => {
      try {
        await navigator.clipboard.writeText(element.dataset.copy);
        copy.textContent = "Copied";
      } catch {
        copy.textContent = "Copying failed";
      }
      setTimeout(() => { copy.textContent = label; }, 2000);
    });
    copy.setAttribute("aria-label", `Copy ${element.dataset.copy}`);
    element.after(copy);
  }
}

// Moves the focus to the search box when "/" is pressed.
function addShortcuts() {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, select, textarea, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
    if (!target) return;
    event.preventDefault();
    target.focus();
    target.select();
  });
}

// Cuts an auth token that is pasted into a search or a filter to the characters that lists show,
// before it gets into an address. (The server redirects, too.)
function cutAuthTokens() {
  const cut = (box) => {
    const isSent = box.form?.method === "get" || box.dataset?.suggest;
    const text = isSent ? box.value.replace(/tg_[\w-]{17,}/g, (token) => token.slice(0, 10)) : box.value;
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
        line.textContent = "Enter an amount to see the balance before and after.";
        return;
      }
      const before = BigInt(form.dataset.balance);
      const after = before + BigInt(text.replace(/^\+/, ""));
      const written = (number) => number.toLocaleString("en-US");
      line.textContent = after < 0n
        ? `The balance is only ${written(before)} tokens.`
        : `The balance goes from ${written(before)} to ${written(after)} tokens.`;
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
    const label = input.labels?.[0]?.textContent.trim() ?? "";
    fill.setAttribute("aria-label", `${label}: ${fill.textContent.toLowerCase()}`);
    (input.closest(".filter-groups label") ?? input).after(fill);
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

showScripted(document);
rememberOpen();
showPlace();
filterMenu();
addCopyButtons(document);
addShortcuts();
cutAuthTokens();
countSelected();
previewBalance();
suggestUsers();
addNowButtons();
refresh();
sendOnce();
document.querySelector(".error-summary")?.focus();
