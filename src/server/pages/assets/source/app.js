// What pages do beyond links and forms: they follow the server, show times in the browser's zone, and take keys.

import { Idiomorph } from "idiomorph";

const html = document.documentElement;

// --- Theme: the system's unless the reader has chosen one.
const themes = ["", "light", "dark"];
function theme(name) {
  if (name) html.dataset.theme = name;
  else delete html.dataset.theme;
  const button = document.querySelector("[data-theme-switch]");
  if (button) button.textContent = `Theme: ${name || "system"}`;
}
theme(localStorage.getItem("theme") || "");
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-switch]")) return;
  const next = themes[(themes.indexOf(html.dataset.theme || "") + 1) % themes.length];
  localStorage.setItem("theme", next);
  theme(next);
});

// --- Times: the server writes them in its own zone; here they are the reader's.
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const day = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short" });
const clock = new Intl.DateTimeFormat("sv-SE", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
function relative(milliseconds) {
  const seconds = Math.round(Math.abs(milliseconds) / 1000);
  const text = seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
  return milliseconds < 0 ? `in ${text}` : `${text} ago`;
}
function times(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    const age = Date.now() - moment;
    const form = element.dataset.form;
    if (form === "clock") element.textContent = clock.format(moment).replace(",", ".");
    else element.textContent = Math.abs(age) < 86_400_000 ? relative(age) : day.format(moment);
    element.title = full.format(moment);
  }
}
times(document);
setInterval(() => times(document), 10_000);

// --- Live: one stream a page, which says that something changed; the page is then read again, and what differs is replaced.
// A page as a document; none when the server is away, which the stream notices too. (Trusted Types forbid parsing a text.)
function read(address) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.addEventListener("loadend", () => {
      // A user who is signed out is redirected to the login page.
      if (request.status === 401) location.reload();
      resolve(request.status === 200 ? request.response : null);
    });
    request.send();
  });
}

// What the reader has opened, chosen or typed stays.
const isReplaced = (node) => !(node.matches?.("[data-keep]") ?? false);
const isServers = (name, node) => !(name === "open" && node.nodeName === "DETAILS") && name !== "tabindex";

let reading = null;
async function refresh() {
  if (reading) return (reading.again = true);
  reading = { again: false };
  const fresh = await read(location.href);
  for (const id of ["page", "rail"]) {
    const [old, next] = [document.getElementById(id), fresh?.getElementById(id)];
    if (!old || !next) continue;
    times(next);
    Idiomorph.morph(old, next, { ignoreActiveValue: true, callbacks: { beforeNodeMorphed: isReplaced, beforeAttributeUpdated: isServers } });
  }
  showSelection();
  if (fresh) searchOn();
  const { again } = reading;
  reading = null;
  if (again) refresh();
}

// --- Links to another view of the same page change what differs, without leaving the page.
document.addEventListener("click", (event) => {
  const link = event.target.closest("main a[href^='?']");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  view();
});
addEventListener("popstate", view);
async function view() {
  await refresh();
  views();
  const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (place) place.scrollIntoView({ block: "nearest" });
}

// --- A search of a long log comes in pieces: while nothing is found, the next piece is read.
function searchOn() {
  const link = document.querySelector("[data-search-on]");
  if (!link || document.querySelector("#log .line")) return;
  history.replaceState(null, "", link.getAttribute("href"));
  if (reading) reading.again = true;
  else refresh();
}
searchOn();

let stream = null;
function leave() {
  stream?.close();
  stream = null;
}
function follow() {
  const of = document.querySelector("[data-live]")?.dataset.live;
  if (!of || document.hidden) return leave();
  if (stream) return;
  stream = new EventSource(`/live?${of}`);
  stream.addEventListener("change", refresh);
  stream.addEventListener("open", () => {
    html.classList.remove("offline");
    // Whatever happened while there was no stream is seen now.
    refresh();
  });
  stream.addEventListener("error", () => {
    html.classList.add("offline");
    // A browser gives up for good where a server that starts has refused it.
    leave();
    setTimeout(follow, 2000);
  });
}
document.addEventListener("visibilitychange", follow);
follow();

// --- Keys.
const isTyping = (element) => element.closest("input, textarea, select, [contenteditable]");
function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement.closest?.("[data-row]"));
  rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}
const keys = {
  "/": () => document.querySelector("input[type=search]")?.focus(),
  j: () => move(1),
  k: () => move(-1),
  Enter: () => document.activeElement.querySelector?.("a")?.click(),
  r: () => document.querySelector("[data-key=r]")?.click(),
  e: () => document.querySelector("[data-key=e]")?.click(),
  ".": () => document.querySelector(".head .actions")?.querySelector("button, a")?.focus(),
  "?": () => document.getElementById("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "k") {
    event.preventDefault();
    return openPalette();
  }
  if (document.querySelector("dialog[open]")) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  // The editor is in a root of its own.
  const [target] = event.composedPath();
  if (event.key === "Escape" && isTyping(target)) return target.blur();
  if (isTyping(target) || !keys[event.key]) return;
  if (event.key === "Enter" && !event.target.matches("[data-row]")) return;
  event.preventDefault();
  keys[event.key]();
});

// --- Partitions: a drag, a click with Shift or Shift with an arrow selects a range, for which a backfill is offered.
let selection = null;
const cellsOf = (grid) => [...grid.querySelectorAll(".cell")];
function select(grid, anchor, end) {
  selection = { panel: grid.closest(".panel").id, anchor, end };
  showSelection();
}
function showSelection() {
  for (const panel of document.querySelectorAll(".panel:has(.grid)")) {
    const cells = cellsOf(panel);
    const [anchor, end] = panel.id === selection?.panel ? [selection.anchor, selection.end] : [-1, -1];
    const range = anchor < 0 ? [] : cells.slice(Math.min(anchor, end), Math.max(anchor, end) + 1);
    for (const cell of cells) cell.classList.toggle("selected", range.includes(cell));
    const link = panel.querySelector("[data-selection]");
    link.hidden = range.length === 0;
    if (link.hidden) continue;
    const address = new URL(link.href);
    address.searchParams.set("from", range[0].dataset.from);
    address.searchParams.set("to", range.at(-1).dataset.to);
    link.href = address;
    link.textContent = `Backfill ${range.length} selected…`;
  }
}
let dragged = null;
document.addEventListener("pointerdown", (event) => {
  const cell = event.button === 0 && event.pointerType === "mouse" && event.target.closest(".grid .cell");
  if (!cell) return;
  const grid = cell.closest(".grid");
  const at = cellsOf(grid).indexOf(cell);
  dragged = { grid, at: event.shiftKey && selection?.panel === grid.closest(".panel").id ? selection.anchor : at, moved: event.shiftKey };
  if (event.shiftKey) select(grid, dragged.at, at);
});
document.addEventListener("pointerover", (event) => {
  const cell = dragged && event.target.closest(".grid .cell");
  if (!cell || cell.closest(".grid") !== dragged.grid) return;
  const at = cellsOf(dragged.grid).indexOf(cell);
  dragged.moved ||= at !== dragged.at;
  if (dragged.moved) select(dragged.grid, dragged.at, at);
});
document.addEventListener("dragstart", (event) => event.target.closest?.(".grid") && event.preventDefault());
document.addEventListener("pointerup", () => setTimeout(() => (dragged = null)));
// The click that ends a drag opens nothing.
document.addEventListener("click", (event) => dragged?.moved && event.target.closest(".grid .cell") && event.preventDefault(), true);
const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.(".grid .cell");
  if (event.key === "Escape" && selection) {
    selection = null;
    showSelection();
  }
  if (!cell || !steps[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const [across, down] = steps[event.key];
  const grid = cell.closest(".grid");
  const cells = cellsOf(grid);
  const at = cells.indexOf(cell);
  let next = cells[at + across];
  for (let row = cell.closest("tr"); down; ) {
    row = down < 0 ? row.previousElementSibling : row.nextElementSibling;
    next = row?.children[cell.closest("td").cellIndex].querySelector(".cell");
    if (next || !row) break;
  }
  if (!next) return;
  next.focus();
  if (event.shiftKey) select(grid, selection?.panel === grid.closest(".panel").id ? selection.anchor : at, cells.indexOf(next));
});

// --- The palette: what the server finds for the words typed, the first entry chosen.
const palette = document.getElementById("palette");
const [sought, found] = palette.children;
function openPalette() {
  if (!palette.open) palette.showModal();
  sought.select();
  search();
}
let searches = 0;
async function search() {
  const search = ++searches;
  const answer = await fetch(`/palette?q=${encodeURIComponent(sought.value)}`).catch(() => null);
  if (!answer?.ok || search !== searches) return;
  const entries = await answer.json();
  if (search !== searches) return;
  found.replaceChildren(...entries.map(({ title, kind, address }, at) => {
    const [item, link, note] = ["li", "a", "span"].map((name) => document.createElement(name));
    [item.id, item.role, link.href, link.textContent, note.textContent, link.tabIndex] = [`palette-${at}`, "option", address, title, kind, -1];
    item.append(link, note);
    return item;
  }));
  choose(0);
}
function choose(at) {
  const items = [...found.children];
  const chosen = items[Math.min(Math.max(at, 0), items.length - 1)];
  for (const item of items) item.setAttribute("aria-selected", item === chosen);
  sought.setAttribute("aria-activedescendant", chosen?.id ?? "");
  chosen?.scrollIntoView({ block: "nearest" });
}
sought.addEventListener("input", search);
sought.addEventListener("keydown", (event) => {
  const at = [...found.children].findIndex((item) => item.ariaSelected === "true");
  if (event.key === "ArrowDown") choose(at + 1);
  else if (event.key === "ArrowUp") choose(at - 1);
  else if (event.key === "Enter") found.children[at]?.querySelector("a").click();
  else return;
  event.preventDefault();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-palette]")) openPalette();
  if (event.target.closest("[data-help]")) document.getElementById("help").showModal();
  // A click next to a dialog closes it.
  if (event.target.matches("dialog[open]")) event.target.close();
});

// --- Forms that ask first, and filters that apply as they change.
// A form with `data-show` is shown anew as it is filled in, for what depends on its values. Secrets and files stay here.
let typed = 0;
function showAgain(event) {
  const form = event.target.closest?.("form[data-show]");
  if (!form || event.target.matches("[type=password], [type=file]")) return;
  clearTimeout(typed);
  typed = setTimeout(() => {
    const query = new URLSearchParams();
    const several = new Map();
    for (const field of form.elements) {
      if (!field.name || !field.value || field.matches("[type=password], [type=file], [type=hidden], button") || (field.matches("[type=radio], [type=checkbox]") && !field.checked)) continue;
      if (field.name === ":date") query.set("date", field.value);
      else if (field.name === ":labels") query.set("labels", field.value);
      else several.set(field.name, [...(several.get(field.name) ?? []), field.value]);
    }
    for (const [name, values] of several) query.append("inputs", `${name}:${values.length > 1 ? JSON.stringify(values) : values[0]}`);
    if (![...query].length) query.set("defaults", "true");
    history.replaceState(null, "", `${form.dataset.show}?${query}`);
    refresh();
  }, event.type === "input" ? 400 : 0);
}
document.addEventListener("input", showAgain);
document.addEventListener("change", showAgain);

// --- Saved views: the filters of a list under a name, in this browser.
function views() {
  const place = document.querySelector("[data-views]");
  if (!place) return;
  const kept = JSON.parse(localStorage.getItem("views") || "[]");
  const here = location.search.replace(/^\?/, "");
  const save = (list) => {
    localStorage.setItem("views", JSON.stringify(list));
    views();
  };
  const button = (text, label, action) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    made.setAttribute("aria-label", label);
    made.addEventListener("click", action);
    return made;
  };
  const shown = kept.map(({ name, query }) => {
    const chip = Object.assign(document.createElement("span"), { className: "chip" });
    chip.append(
      Object.assign(document.createElement("a"), { href: `${location.pathname}?${query}`, textContent: name }),
      button("✕", `Forget the view ${name}`, () => save(kept.filter((view) => view.name !== name))),
    );
    return chip;
  });
  const isNew = here && !kept.some(({ query }) => query === here);
  const add = button("Save this view", "Save this view", () => {
    const name = prompt("What is this view called?")?.trim();
    if (name) save([...kept.filter((view) => view.name !== name), { name, query: here }]);
  });
  place.replaceChildren(...shown, ...(isNew ? [add] : []));
}
views();

// --- What a task counts is no event: while one counts, the page is read again now and then.
setInterval(() => {
  if (!document.hidden && document.querySelector("[data-progress]")) refresh();
}, 3000);

// A menu closes with whatever is done elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("form[data-auto] select, form[data-auto] input[type=date]")) event.target.form.requestSubmit();
});
