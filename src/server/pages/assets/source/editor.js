// The editor of flows: CodeMirror over the form's text; the server says what is wrong, what may be written and what is
// at the cursor. Without it the form works as it stands.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, hoverTooltip, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const form = document.getElementById("editor");
const area = form?.querySelector("textarea[name=text]");

// --- What the server is asked.
// Trusted Types forbid parsing a text: what comes is read as a document, or as JSON.
function send(address, fields, type) {
  return new Promise((resolve) => {
    const data = new URLSearchParams(new FormData(form));
    for (const [name, value] of Object.entries(fields)) data.set(name, value);
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.responseType = type;
    request.addEventListener("loadend", () => resolve(request));
    request.send(data);
  });
}

// The latest question of a kind is the one that counts.
const asked = {};
async function ask(address, fields, type) {
  const number = (asked[address] = (asked[address] || 0) + 1);
  const request = await send(address, fields, type);
  return number === asked[address] && request.status === 200 ? request.response : null;
}

function later(milliseconds, work) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, milliseconds);
  };
}

function replace(id, page) {
  const [old, next] = [document.getElementById(id), page?.getElementById(id)];
  if (old && next) old.replaceWith(document.adoptNode(next));
}

// --- Places: the server counts lines and characters from 1.
function offset(doc, line, column) {
  const row = doc.line(Math.min(Math.max(line, 1), doc.lines));
  let at = 0;
  for (const letter of row.text) {
    if (--column < 1) break;
    at += letter.length;
  }
  return row.from + at;
}
function place(doc, at) {
  const row = doc.lineAt(at);
  return { line: row.number, column: [...row.text.slice(0, at - row.from)].length + 1 };
}

// --- Findings: as they stand in the page, so they are in the text.
function finding(doc, item) {
  const from = offset(doc, Number(item.dataset.line), Number(item.dataset.column));
  const word = /^[\w.-]+|^\S/.exec(doc.sliceString(from, doc.lineAt(from).to));
  const message = [...item.querySelectorAll(".message, .help")].map((part) => part.textContent).join("\n");
  const action = item.dataset.fix && { name: "Fix", apply: (view) => repair(view, item.dataset.fix) };
  return {
    from,
    to: from + (word ? word[0].length : 0),
    severity: item.classList.contains("fail") ? "error" : "warning",
    message,
    actions: action ? [action] : [],
  };
}
function repair(view, fix) {
  const [line, from, to, ...text] = fix.split(" ");
  const changes = { from: offset(view.state.doc, +line, +from), to: offset(view.state.doc, +line, +to), insert: text.join(" ") };
  view.dispatch({ changes, userEvent: "input.fix" });
  view.focus();
}
function mark(view) {
  const items = [...document.querySelectorAll("#findings li")];
  view.dispatch(setDiagnostics(view.state, items.map((item) => finding(view.state.doc, item))));
}
async function diagnose(view) {
  const page = await ask("/editor/diagnose", { text: view.state.doc.toString() }, "document");
  if (!page) return;
  replace("verdict", page);
  replace("findings", page);
  // The picture stays while the text is wrong.
  if (page.querySelector("#topology svg")) replace("topology", page);
  document.getElementById("topology").classList.toggle("stale", !page.querySelector("#topology svg"));
  mark(view);
}

// --- Completion and documentation.
async function complete(context) {
  const before = context.state.doc.lineAt(context.pos).text.slice(0, context.pos - context.state.doc.lineAt(context.pos).from);
  if (!context.explicit && !/[\w-]$|[.:|] ?$|\{\{ ?$|^\s*(- )?$/.test(before)) return null;
  if (!context.explicit && before.trim() === "") return null;
  const { doc } = context.state;
  const found = await ask("/editor/complete", { text: doc.toString(), ...place(doc, context.pos) }, "json");
  if (!found || context.aborted) return null;
  const { line } = place(doc, context.pos);
  const next = doc.sliceString(context.pos, context.pos + 1);
  const option = ({ label, kind, detail, about, after }) => ({
    label,
    type: { key: "property", word: "enum", name: "variable" }[kind],
    detail,
    info: about || undefined,
    apply: next === ":" ? label : label + after,
  });
  const options = found.candidates.map(option);
  return { from: offset(doc, line, found.from), to: offset(doc, line, found.to), options, validFor: /^[\w-]*$/ };
}
async function describe(view) {
  const at = place(view.state.doc, view.state.selection.main.head);
  const page = await ask("/editor/describe", { text: view.state.doc.toString(), ...at }, "document");
  replace("documentation", page);
}
const hover = hoverTooltip(async (view, at) => {
  const { doc } = view.state;
  if (!/\S/.test(doc.sliceString(at, at + 1))) return null;
  const request = await send("/editor/describe", { text: doc.toString(), ...place(doc, at) }, "document");
  // What was typed meanwhile has moved the text away from under the mouse.
  if (view.state.doc !== doc) return null;
  const here = request.status === 200 && request.response?.querySelector(".here");
  const word = view.state.wordAt(at);
  if (!here || !word) return null;
  const dom = document.adoptNode(here);
  dom.className = "jitney-hover";
  return { pos: word.from, end: word.to, above: true, create: () => ({ dom }) };
});

// --- Look: the page's colours come through into the editor's own root.
const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--ok)" },
  { tag: [tags.comment], color: "var(--ink-3)", fontStyle: "italic" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--warn)" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--ink-2)" },
]);
const look = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "transparent", color: "var(--ink)", minHeight: "420px", maxHeight: "calc(100vh - 220px)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", overflow: "auto" },
  ".cm-content": { caretColor: "var(--ink)", padding: "12px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--ink-3)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--idle-soft) 55%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--accent-soft)" },
  ".cm-selectionMatch": { backgroundColor: "var(--warn-soft)" },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--panel)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "6px", font: "13px/1.5 var(--sans)" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", maxHeight: "16em" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent-soft)", color: "var(--ink)" },
  ".cm-completionDetail": { color: "var(--ink-2)", fontStyle: "normal" },
  ".cm-completionInfo": { maxWidth: "360px", padding: "8px 12px", whiteSpace: "pre-wrap" },
  ".cm-diagnostic": { whiteSpace: "pre-wrap" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--fail)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-diagnosticAction": { backgroundColor: "var(--accent)", color: "var(--on-accent)", borderRadius: "4px", padding: "2px 8px" },
  ".cm-lintRange-error": { backgroundImage: "none", borderBottom: "2px solid var(--fail)" },
  ".cm-lintRange-warning": { backgroundImage: "none", borderBottom: "2px solid var(--warn)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--idle-soft)", color: "var(--ink-2)", border: "0" },
  ".cm-panel input, .cm-panel button": { font: "13px var(--sans)" },
  ".jitney-hover": { padding: "8px 12px", maxWidth: "420px" },
  ".jitney-hover p": { margin: "0" },
  ".jitney-hover .quiet": { color: "var(--ink-2)" },
});

// --- Saving: the page stays, with the history of the edit.
let saved = area?.value;
function outcome(text, kind) {
  const line = document.createElement("p");
  line.className = `panel note ${kind}`;
  line.textContent = text;
  document.getElementById("outcome").replaceChildren(line);
}
async function save(view, action) {
  const text = view.state.doc.toString();
  const { status, response: page, responseURL: address } = await send(form.action, { text, do: action }, "document");
  if (status === 200 && new URL(address).searchParams.has("saved")) {
    saved = text;
    if (!form.elements.id.value) return location.assign(address);
    form.elements.base.value = page.querySelector("[name=base]").value;
  }
  if (page?.getElementById("outcome")) replace("outcome", page);
  else outcome(status ? `It was not saved: the server answered ${status}.` : "The server is away. Nothing was saved.", "fail");
}

function begin() {
  const host = document.createElement("div");
  host.className = "code-host";
  area.before(host);
  area.hidden = true;
  for (const button of document.querySelectorAll("[data-without-script]")) button.hidden = true;
  // A root of its own takes CodeMirror's styles without a nonce.
  const root = host.attachShadow({ mode: "open" });
  const changed = later(250, () => diagnose(view));
  const moved = later(200, () => describe(view));
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        lineNumbers(), foldGutter(), lintGutter(), history(), drawSelection(), highlightSpecialChars(), highlightActiveLine(),
        highlightActiveLineGutter(), highlightSelectionMatches(), bracketMatching(), closeBrackets(), search({ top: true }),
        indentUnit.of("  "), EditorState.tabSize.of(2), yaml(), syntaxHighlighting(colours), look, hover,
        autocompletion({ override: [complete], activateOnTyping: true }),
        EditorView.contentAttributes.of({ "aria-label": "The flow as YAML", tabindex: "0" }),
        keymap.of([
          { key: "Mod-s", preventDefault: true, run: () => (save(view, "save"), true) },
          ...closeBracketsKeymap, ...completionKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, ...defaultKeymap, indentWithTab,
        ]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) area.value = update.state.doc.toString();
          if (update.docChanged) changed();
          if (update.docChanged || update.selectionSet) moved();
        }),
      ],
    }),
  });
  mark(view);
  moved();
  const line = /^#L(\d+)$/.exec(location.hash);
  if (line) go(view, Number(line[1]), 1);
  listen(view);
}
function go(view, line, column) {
  const at = offset(view.state.doc, line, column);
  view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
  view.focus();
}
function listen(view) {
  form.addEventListener("submit", (event) => {
    const action = event.submitter?.value || "save";
    if (["form", "ask"].includes(action)) return (saved = view.state.doc.toString());
    event.preventDefault();
    if (action.startsWith("fix ")) repair(view, action.slice(4));
    else save(view, action);
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#L']");
    if (!link) return;
    event.preventDefault();
    const item = link.closest("[data-column]");
    go(view, Number(link.getAttribute("href").slice(2)), Number(item?.dataset.column || 1));
  });
  addEventListener("beforeunload", (event) => {
    if (view.state.doc.toString() !== saved) event.preventDefault();
  });
  document.querySelector("[data-discard]")?.addEventListener("click", () => (saved = view.state.doc.toString()));
}
if (area) begin();

// --- Files that are dropped, folders with all that is in them.
async function files(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const all = [];
  for (;;) {
    // A folder is read in parts.
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return all;
    for (const inner of part) all.push(...(await files(inner)));
  }
}
const drop = document.querySelector("form[data-drop]");
if (drop) {
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const all = (await Promise.all(entries.map(files))).flat().filter((file) => /\.ya?ml$/.test(file.name));
    const list = new DataTransfer();
    for (const file of all) list.items.add(file);
    const input = drop.querySelector("input[type=file]");
    input.files = list.files;
    if (all.length) drop.requestSubmit();
  });
}
