// March has failed: the grid says why, the execution shows the line of the file, the flow gets the remedy, and March alone runs.
import assert from "node:assert/strict";
import { sees, story } from "../story.mjs";

await story(async (page) => {
  await page.goto("/flows/shop/trips/partitions?from=2019-01&to=2019-06");
  const failed = page.locator(".cell.fail");
  assert.equal(await failed.count(), 1);
  await failed.click();
  await page.getByRole("complementary", { name: "2019-03" }).getByRole("link", { name: "Execution" }).click();
  await page.waitForURL(/\/executions\//);
  const failure = page.locator("#failure-load");
  assert.match(await failure.innerText(), /trips-2019-03\.csv:3:3/);
  assert.match(await failure.innerText(), /x96/);
  assert.match(await failure.innerText(), /on_bad_row/);
  await failure.getByRole("link", { name: "Edit the flow" }).click();
  await page.waitForURL(/\/edit/);
  const code = page.locator(".cm-content");
  await code.getByText("type: postgres.load").click();
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.keyboard.type("on_bad_row: {reject: {max: 5}}");
  await page.getByRole("button", { name: "Save" }).click();
  await sees(page, "Saved");
  await page.getByRole("link", { name: "trips", exact: true }).click();
  await page.getByRole("link", { name: "Partitions" }).click();
  await page.waitForURL(/\/partitions/);
  await page.goto("/flows/shop/trips/partitions?from=2019-01&to=2019-06");
  await page.getByRole("link", { name: "Run 1 failed" }).click();
  await page.getByRole("button", { name: "Run 1 of 6" }).click();
  await page.waitForURL(/\/partitions/);
  await page.goto("/flows/shop/trips/partitions?from=2019-01&to=2019-06");
  await page.locator(".cell.ok").nth(5).waitFor();
  await page.getByRole("link", { name: "Data", exact: true }).click();
  await page.locator("tr", { hasText: "2019-03" }).first().getByText("△ 1").waitFor();
  await sees(page, "every load reconciles");
});
