// A viewer looks and may not run; an admin runs, and the audit log says who it was.
import assert from "node:assert/strict";
import { sees, story } from "../story.mjs";

async function signIn(page, name, password) {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

await story(async (page) => {
  await page.goto("/flows/shop/hello/run");
  await page.waitForURL(/\/login\?next=/);
  await signIn(page, "vic", "not the password");
  await page.getByRole("alert").waitFor();
  await signIn(page, "vic", "a-long-password-2");
  await page.waitForURL(/\/flows\/shop\/hello\/run$/);
  const run = page.getByRole("button", { name: "Run", exact: true });
  assert.ok(await run.isDisabled());
  assert.match(await run.getAttribute("title"), /operator/);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(/\/login/);
  await page.goto("/flows/shop/hello/run");
  await signIn(page, "ada", "a-long-password-1");
  await run.click();
  await page.waitForURL(/\/executions\//);
  await page.locator(".head .state", { hasText: "success" }).waitFor();
  await page.goto("/audit");
  await sees(page, "ada");
});
