// A folder of Kestra's flows is dropped on the page: the good ones are imported, and the report says what is wrong with the others.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isFirefox, sees, story, words } from "../story.mjs";

const [folder] = words;

/** Drops a folder as the desktop does. */
async function drop(page, context) {
  const session = await context.newCDPSession(page);
  const data = { items: [], files: [folder], dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await session.send("Input.dispatchDragEvent", { type, x: 600, y: 400, data });
  }
}

await story(async (page, context) => {
  await page.goto("/flows");
  await page.getByRole("link", { name: "Import" }).first().click();
  await page.waitForURL(/\/flows\/import$/);
  if (isFirefox) {
    const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".yaml"));
    await page.getByLabel("YAML files, Kestra's too").setInputFiles(names.map((name) => join(folder, name)));
    await page.getByRole("button", { name: "Import" }).click();
  } else await drop(page, context);
  await sees(page, "2 of 3 imported");
  const row = (name) => page.locator("#report tr", { hasText: name });
  assert.match(await row("broken.yaml").innerText(), /refused[\s\S]*line 5, column 11/);
  await row("greets.yaml").getByRole("link").click();
  await page.getByRole("link", { name: "Run…" }).click();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.waitForURL(/\/executions\//);
  await sees(page, "Hello from the course");
});
