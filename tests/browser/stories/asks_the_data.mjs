// The reader follows a load from the ledger to its table, writes a query with completion, and is kept from changing anything.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { sees, story } from "../story.mjs";

await story(async (page) => {
  await page.goto("/");
  await page.getByRole("link", { name: "Data", exact: true }).click();
  const row = page.locator("tbody tr", { hasText: "2019-03" }).first();
  assert.match((await row.innerText()).replace(/\s+/g, " "), /public\.trips .*2019-03.* 3 /);
  await page.getByRole("link", { name: "Tables" }).click();
  await page.getByRole("img", { name: "Rows by month" }).waitFor();
  await page.getByRole("link", { name: "Query" }).first().click();
  const box = page.getByLabel("SQL");
  await box.fill("");
  await box.pressSequentially("SELECT month, count(*) AS n FROM tri");
  await page.getByRole("option", { name: /^public\.trips|^trips/ }).first().waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.type(" GROUP BY 1 ORDER BY 1");
  await page.keyboard.press("Control+Enter");
  const result = page.locator("#result");
  await result.waitFor();
  assert.match(await result.innerText(), /2019-03\s+3/);
  await page.getByRole("img", { name: "n by month" }).waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download CSV" }).click()]);
  assert.match(readFileSync(await download.path(), "utf8"), /^month,n\r?\n2019-01,/);
  await box.fill("DELETE FROM trips");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByRole("alert").waitFor();
  await sees(page, "only queries run here");
  await page.getByRole("link", { name: "Loads", exact: true }).click();
  await page.locator("tbody a.mono").first().click();
  await page.waitForURL(/\/executions\//);
});
