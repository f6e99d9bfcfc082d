// A run has failed: the reader finds out why, comes to the line that is wrong, fixes it, and restarts.
import { sees, story } from "../story.mjs";

await story(async (page) => {
  await page.goto("/");
  await sees(page, "does not exist");
  await page.getByRole("link", { name: "Open" }).first().click();
  await page.waitForURL(/\/executions\//);
  await sees(page, "does not exist");
  await page.goto("/flows/shop/broken/edit");
  const code = page.locator(".cm-content");
  await code.waitFor();
  await code.getByText("type: fail", { exact: false }).click();
  await page.keyboard.press("Home");
  await page.keyboard.press("Shift+End");
  await page.keyboard.type("- {id: stop, type: log, mesage: fixed}");
  await sees(page, "did you mean");
  // The quick fix.
  await page.locator(".cm-lintRange-error").first().hover();
  await page.locator(".cm-diagnosticAction").first().click();
  await code.getByText("type: log, message: fixed").waitFor();
  await page.getByText("did you mean").first().waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Save" }).click();
  await sees(page, "Saved");
  await page.goto("/flows/shop/broken/run");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.waitForURL(/\/executions\//);
  await page.locator(".head .state", { hasText: "success" }).waitFor();
  await sees(page, "fixed");
});
