// A task is changed in the form; the comment next to it stays, and the YAML shows the new value.
import { sees, story } from "../story.mjs";

await story(async (page) => {
  await page.goto("/flows/shop/noted/edit");
  await page.getByRole("button", { name: "Form" }).click();
  await page.getByRole("button", { name: /greet/ }).first().click();
  const message = page.getByLabel(/^message/);
  await message.fill("Good morning");
  await page.getByRole("button", { name: "YAML" }).click();
  const code = page.locator(".cm-content");
  await code.getByText("Good morning").waitFor();
  await code.getByText("# said to everybody").waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await sees(page, "Saved");
});
