// The page of the API: its forms send what they describe, with the reader's own login, and show the answer.

// More of an answer than this is not shown.
const MOST = 200_000;

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// What a form asks for: address, method, headers and body.
function request(form) {
  const { method, base, path, kind } = form.dataset;
  let address = base + path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("[data-in]")) {
    if (field.dataset.in === "path") address = address.replace(`{${field.name}}`, field.value ? encodeURIComponent(field.value) : `{${field.name}}`);
    else if (field.value) field.value.split("\n").forEach((value) => query.append(field.name, value));
  }
  if (`${query}`) address += `?${query}`;
  return { method, address, kind, text: form.querySelector("[data-body]")?.value ?? "" };
}

const pairs = (text) => text.split("\n").filter((line) => line.includes("=")).map((line) => [line.slice(0, line.indexOf("=")).trim(), line.slice(line.indexOf("=") + 1)]);

function curl(form) {
  const { method, address, kind, text } = request(form);
  const words = ["curl"];
  if (method !== "GET") words.push("-X", method);
  if (kind === "multipart/form-data") pairs(text).forEach(([name, value]) => words.push("-F", quoted(`${name}=${value}`)));
  else if (kind) words.push("-H", quoted(`Content-Type: ${kind}`), "--data-binary", quoted(text));
  words.push(quoted(location.origin + address));
  form.querySelector("[data-curl]").textContent = words.join(" ");
}

const token = document.querySelector("meta[name=csrf-token]")?.content;
const proof = token ? { "X-CSRF-Token": token } : {};

function body({ kind, text }) {
  if (!kind) return { headers: proof };
  if (kind !== "multipart/form-data") return { body: text, headers: { "Content-Type": kind, ...proof } };
  const form = new FormData();
  pairs(text).forEach(([name, value]) => form.append(name, value));
  return { body: form, headers: proof };
}

// Answers that never end are shown as they come.
async function show(response, answer) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    answer.textContent = text;
    if (text.length > MOST) {
      await reader.cancel();
      answer.textContent = `${text.slice(0, MOST)}\n… the rest is not shown`;
      return;
    }
  }
  try {
    answer.textContent = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // It is no JSON, and shown as it is.
  }
}

async function send(form) {
  const [status, answer, stop] = ["status", "answer", "stop"].map((name) => form.querySelector(`[data-${name}]`));
  const asked = request(form);
  if (asked.method === "DELETE" && !confirm(`Send ${asked.method} ${asked.address}?`)) return;
  const abort = new AbortController();
  stop.onclick = () => abort.abort();
  stop.hidden = false;
  answer.hidden = false;
  answer.textContent = "";
  status.textContent = "sent";
  const began = performance.now();
  try {
    const response = await fetch(asked.address, { method: asked.method, signal: abort.signal, ...body(asked) });
    status.textContent = `${response.status} ${response.statusText}`;
    await show(response, answer);
    status.textContent += ` · ${Math.round(performance.now() - began)} ms`;
  } catch (error) {
    status.textContent = abort.signal.aborted ? "stopped" : `no answer: ${error.message}`;
  }
  stop.hidden = true;
}

for (const form of document.querySelectorAll("form[data-try]")) {
  form.querySelector("[data-send]").hidden = false;
  form.addEventListener("input", () => curl(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

// A link to a call opens it.
const open = () => document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
