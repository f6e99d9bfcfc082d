// An open page of an execution outlives the server: it says that it is out of date, and is right again by itself.
import { sees, story, tell, words } from "../story.mjs";

const [execution] = words;
await story(async (page) => {
  await page.goto(`/executions/${execution}`);
  await sees(page, "running");
  await page.locator("html:not(.offline)").waitFor();
  tell("watching");
  await page.locator("html.offline").waitFor();
  tell("offline");
  await page.locator("html:not(.offline)").waitFor();
  await page.locator(".head .state", { hasText: "success" }).waitFor();
});
