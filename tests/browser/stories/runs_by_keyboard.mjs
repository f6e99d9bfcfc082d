// From the list of flows to a finished execution, without a mouse.
import assert from "node:assert/strict";
import { sees, story } from "../story.mjs";

await story(async (page) => {
  const press = (key) => page.keyboard.press(key);
  await page.goto("/flows");
  await press("/");
  await page.keyboard.type("hel");
  await press("Enter");
  await page.waitForURL(/q=hel/);
  await press("j");
  await press("Enter");
  await page.waitForURL(/\/flows\/shop\/hello$/);
  await press("r");
  await page.waitForURL(/\/run$/);
  const note = page.getByLabel("note");
  for (let presses = 0; !(await note.evaluate((field) => field === document.activeElement)); presses += 1) {
    assert.ok(presses < 40, "Tab does not come to the field");
    await press("Tab");
  }
  await page.keyboard.type("by keyboard");
  await press("Enter");
  await page.waitForURL(/\/executions\//);
  await sees(page, "Hello 01 by keyboard");
  await page.locator(".head .state", { hasText: "success" }).waitFor();
});
