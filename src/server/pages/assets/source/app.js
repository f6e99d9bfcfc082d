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
    request.addEventListener("loadend", () => resolve(request.status === 200 ? request.response : null));
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
  const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (place) place.scrollIntoView({ block: "nearest" });
}

let stream = null;
function follow() {
  const of = document.querySelector("[data-live]")?.dataset.live;
  if (!of || document.hidden) {
    stream?.close();
    stream = null;
  } else if (!stream) {
    stream = new EventSource(`/live?${of}`);
    stream.addEventListener("change", refresh);
    // Whatever happened while there was no stream is seen now.
    stream.addEventListener("open", refresh);
    stream.addEventListener("open", () => html.classList.remove("offline"));
    stream.addEventListener("error", () => html.classList.add("offline"));
  }
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
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && isTyping(event.target)) return event.target.blur();
  if (isTyping(event.target) || !keys[event.key]) return;
  if (event.key === "Enter" && !event.target.matches("[data-row]")) return;
  event.preventDefault();
  keys[event.key]();
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
