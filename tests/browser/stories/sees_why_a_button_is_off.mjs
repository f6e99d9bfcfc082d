// Whoever may only look sees each button that changes something, finds it disabled, and reads which role it needs.
import assert from "node:assert/strict";
import { story, words } from "../story.mjs";

const [role, password, ...pages] = words;
await story(async (page) => {
  await page.goto("/login");
  await page.getByLabel("Name").fill(role);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => url.pathname === "/");
  const wrong = [];
  let disabled = 0;
  for (const address of pages) {
    await page.goto(address);
    // The editor asks the server what is wrong with a text, which everybody may.
    const buttons = page.locator("main form[method=post] button:not([type=button], [data-without-script], .tab)");
    for (const button of await buttons.all()) {
      const [isOff, reason] = [await button.isDisabled(), await button.getAttribute("title")];
      const name = (await button.textContent()).trim();
      if (!isOff) wrong.push(`${address}: “${name}” is enabled`);
      else if (!reason) wrong.push(`${address}: “${name}” gives no reason`);
      else disabled += 1;
    }
  }
  assert.ok(wrong.length === 0, `\n${wrong.join("\n")}`);
  assert.ok(disabled >= 10, `only ${disabled} buttons were seen`);
  // What the role may not see is not offered either.
  for (const name of ["Secrets", "Settings", "Audit log"]) assert.equal(await page.getByRole("link", { name }).count(), 0);
});
