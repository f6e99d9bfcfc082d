// The box for queries: names of tables, columns and keywords complete, and Ctrl-Enter runs.

const words = "SELECT FROM WHERE GROUP BY ORDER LIMIT JOIN LEFT ON AND OR NOT NULL IS IN BETWEEN LIKE AS DISTINCT count sum avg min max date_trunc HAVING WITH UNION ALL DESC CASE WHEN THEN ELSE END FILTER OVER PARTITION EXPLAIN".split(" ");
const MOST = 10;

const box = document.getElementById("sql");
const list = document.querySelector("[data-suggestions]");
const form = box?.form;

// The catalogue is read when somebody begins to write.
let names = null;
async function load() {
  names ??= fetch(`/data/tables/columns.json?${form.dataset.query}`)
    .then((response) => (response.ok ? response.json() : {}))
    .catch(() => ({}));
  return names;
}

// What is being written before the cursor.
const begun = () => /[\w."]*$/.exec(box.value.slice(0, box.selectionStart))[0];

function found(tables, part) {
  const low = part.toLowerCase();
  const mentioned = Object.keys(tables).filter((table) => box.value.toLowerCase().includes(table.toLowerCase()));
  const columns = (mentioned.length ? mentioned : Object.keys(tables)).flatMap((table) => tables[table].map(([name, kind]) => [name, kind]));
  const all = [...columns, ...Object.keys(tables).map((table) => [table, "table"]), ...words.map((word) => [word, ""])];
  const seen = new Set();
  return all.filter(([name]) => name.toLowerCase().startsWith(low) && name.toLowerCase() !== low && !seen.has(name) && seen.add(name)).slice(0, MOST);
}

let shown = [];
function hide() {
  shown = [];
  list.hidden = true;
}

async function suggest(force) {
  const part = begun();
  if (!part && !force) return hide();
  const tables = await load();
  if (part !== begun()) return;
  shown = found(tables, part);
  list.replaceChildren(
    ...shown.map(([name, kind], index) => {
      const option = document.createElement("button");
      option.type = "button";
      option.tabIndex = -1;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", index === 0);
      option.append(name);
      if (kind) option.append(Object.assign(document.createElement("span"), { className: "quiet", textContent: ` ${kind}` }));
      option.addEventListener("mousedown", (event) => (event.preventDefault(), take(index)));
      return option;
    }),
  );
  list.hidden = shown.length === 0;
}

function take(index) {
  const part = begun();
  const start = box.selectionStart - part.length;
  box.setRangeText(shown[index][0], start, box.selectionStart, "end");
  hide();
  box.focus();
}

function move(step) {
  const options = [...list.children];
  const at = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  const next = (at + step + options.length) % options.length;
  options.forEach((option, index) => option.setAttribute("aria-selected", index === next));
}

if (box && list) {
  box.addEventListener("input", () => suggest(false));
  box.addEventListener("blur", hide);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) return event.preventDefault(), form.requestSubmit();
    if (event.key === " " && event.ctrlKey) return event.preventDefault(), suggest(true);
    if (list.hidden) return;
    const chosen = [...list.children].findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "Tab" && !event.shiftKey) event.preventDefault(), take(Math.max(chosen, 0));
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") event.preventDefault(), move(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Escape") event.stopPropagation(), hide();
  });
}
