// Three months of a year have run: the reader drags over the first half of it, sees what would run, and starts that.
import assert from "node:assert/strict";
import { sees, story } from "../story.mjs";

await story(async (page) => {
  await page.goto("/flows/shop/months/partitions?from=2019-01&to=2019-12");
  const panel = page.locator("#column-green");
  assert.equal(await panel.locator(".cell.ok").count(), 3);
  const [first, last] = [panel.locator(".cell").nth(0), panel.locator(".cell").nth(5)];
  await first.hover();
  await page.mouse.down();
  await last.hover();
  await page.mouse.up();
  assert.ok(page.url().includes("/partitions"), "the end of a drag opened a partition");
  await panel.getByText("Backfill 6 selected…").click();
  await page.waitForURL(/\/backfill\?/);
  await page.getByRole("button", { name: "Run 3 of 6" }).click();
  await page.waitForURL(/\/partitions/);
  await page.goto("/flows/shop/months/partitions?from=2019-01&to=2019-12");
  // The page is not read again by the reader.
  await panel.locator(".cell.ok").nth(5).waitFor();
  assert.equal(await panel.locator(".cell.none").count(), 6);
});
