// Whoever reads without scripts can do all the same: run, look for a line in the log, run again.
import { sees, story } from "../story.mjs";

await story(async (page) => {
  await page.goto("/flows");
  await page.getByRole("link", { name: "hello" }).first().click();
  await page.getByRole("link", { name: "Run" }).first().click();
  await page.getByLabel("month").selectOption("02");
  await page.getByLabel("note").fill("plainly");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.waitForURL(/\/executions\//);
  for (let looks = 0; !(await page.locator(".head .state", { hasText: "success" }).count()); looks += 1) {
    if (looks > 200) throw new Error("it does not end");
    await page.reload();
  }
  await page.getByLabel("Text in the log").fill("Hello 02");
  await page.getByRole("button", { name: "Filter" }).click();
  await sees(page, "Hello 02 plainly");
  const first = page.url();
  await page.locator("summary", { hasText: "Replay" }).click();
  await page.getByRole("button", { name: "From the beginning" }).click();
  await page.waitForURL((url) => /\/executions\//.test(url.pathname) && url.pathname !== new URL(first).pathname);
}, { javaScriptEnabled: false });
