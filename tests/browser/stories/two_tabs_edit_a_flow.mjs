// Two tabs edit one flow: the second to save sees what the first has written, and loses nothing.
import { sees, story } from "../story.mjs";

const write = async (page, text) => {
  await page.goto("/flows/shop/hello/edit");
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+Home");
  await page.keyboard.type(text);
};

await story(async (page, context) => {
  const other = await context.newPage();
  await write(page, "# written in the first tab\n");
  await write(other, "# written in the second tab\n");
  await page.getByRole("button", { name: "Save" }).click();
  await sees(page, "Saved");
  await other.getByRole("button", { name: "Save" }).click();
  await sees(other, "changed");
  await sees(other, "written in the first tab");
  await sees(other, "written in the second tab");
  await page.goto("/flows/shop/hello");
  await sees(page, "written in the first tab");
});
