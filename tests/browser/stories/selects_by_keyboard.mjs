// Months are selected with arrows, and the palette leads there and away.
import assert from "node:assert/strict";
import { story } from "../story.mjs";

await story(async (page) => {
  const press = (key) => page.keyboard.press(key);
  await page.goto("/");
  await press("Control+k");
  await page.keyboard.type("partitions months");
  await page.locator("#palette [aria-selected=true]", { hasText: "Partitions of shop.months" }).waitFor();
  await press("Enter");
  await page.waitForURL(/\/flows\/shop\/months\/partitions$/);
  const panel = page.locator("#column-green");
  await panel.locator(".cell").first().focus();
  for (const key of ["ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight"]) await press(key);
  await panel.getByText("Backfill 3 selected…").waitFor();
  await press("Escape");
  assert.ok(await panel.getByText("selected…").isHidden());
  await press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await press("Escape");
  await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "hidden" });
});
