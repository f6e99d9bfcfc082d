// A form with every type of input: mistakes are said at their fields and lose nothing, and the next form has the last values.
import assert from "node:assert/strict";
import { sees, story, words } from "../story.mjs";

const [file] = words;
await story(async (page) => {
  await page.goto("/flows/shop/everything/run");
  const field = (name) => page.locator(`[name=${name}]`);
  const values = {
    text: "some words", whole: "seven", broken: "2.5", list: '["a", "b"]', day: "2019-03-31",
    moment: "2019-03-31T10:00:00", clock: "14:30:00", length: "PT15M", object: '{"a": 1}', tree: "b: 2", place: "https://example.com/x",
    mail: "me@example.com",
  };
  for (const [name, value] of Object.entries(values)) await field(name).fill(value);
  await field("one").selectOption("yellow");
  await page.getByRole("radio", { name: "north" }).check();
  await page.getByRole("checkbox", { name: "y" }).check();
  await field("flag").selectOption("true");
  const run = page.getByRole("button", { name: "Run", exact: true });
  // The form follows what is typed; it has come to rest when a field that depends on another is there.
  await page.getByLabel(/^only/).fill("for yellow taxis");
  await field("hidden").fill("not-to-be-seen");
  // The problem is there while one types; this is the server's page with it.
  await Promise.all([page.waitForEvent("load"), run.click()]);
  const problem = page.locator("#field-whole [role=alert]");
  await problem.waitFor();
  assert.match(await problem.innerText(), /seven/);
  assert.equal(await field("text").inputValue(), "some words");
  assert.ok(await page.getByRole("radio", { name: "north" }).isChecked());
  await field("whole").fill("7");
  await field("hidden").fill("not-to-be-seen");
  await field("paper").setInputFiles(file);
  await run.click();
  await page.waitForURL(/\/executions\//);
  await page.locator(".head .state", { hasText: "success" }).waitFor();
  await sees(page, "some words 7 2.5 true yellow north [\"y\"] a+b 2019-03-31 14:30:00 1 2 me@example.com for yellow taxis");
  await sees(page, "the paper says: hello");
  assert.ok(!(await page.content()).includes("not-to-be-seen"));
  await page.getByRole("link", { name: "Inputs" }).click();
  await sees(page, "https://example.com/x");
  await page.goto("/flows/shop/everything/run");
  await sees(page, "the last run");
  assert.equal(await field("mail").inputValue(), "me@example.com");
  assert.equal(await field("hidden").inputValue(), "");
  await page.getByRole("link", { name: "Use the defaults" }).click();
  // The link changes what differs, without leaving the page.
  await page.waitForFunction((input) => input.value === "", await field("mail").elementHandle());
});
