// A new server has no flows: three clicks later a month is in Postgres, and the reader looks at its rows.
import assert from "node:assert/strict";
import { sees, story } from "../story.mjs";

await story(async (page) => {
  await page.goto("/");
  await page.getByRole("button", { name: "Load a sample month" }).click();
  await page.waitForURL(/\/flows\/sample\/taxi_months\/run$/);
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.waitForURL(/\/executions\//);
  // The first load starts a Postgres.
  await page.locator(".head .state", { hasText: "success" }).waitFor({ timeout: 120_000 });
  assert.match(await page.locator(".sum").innerText(), /7,510\s+rows in the file\s+=\s+7,510\s+loaded/);
  await sees(page, /\d{4}-\d\d: 7,510 trips/);
  await page.getByRole("link", { name: "partitions" }).click();
  await page.waitForURL(/\/partitions/);
  await page.locator(".cell.ok", { hasText: "7.5k" }).waitFor();
  await page.getByRole("link", { name: "Run 11 missing" }).waitFor();
  await page.getByRole("link", { name: "Data", exact: true }).click();
  await sees(page, "every load reconciles");
  await page.locator("td", { hasText: "public.sample_trips" }).waitFor();
});
