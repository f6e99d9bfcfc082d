// Every page, in both themes: nothing that axe-core finds wrong, and no sideways scrolling on a narrow screen.
import assert from "node:assert/strict";
import { barriers, story, words } from "../story.mjs";

await story(async (page) => {
  const found = [];
  for (const address of words) {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.goto(address);
      found.push(...(await barriers(page)).map((line) => `${address} (${colorScheme}) ${line}`));
    }
    await page.setViewportSize({ width: 320, height: 800 });
    const width = await page.evaluate(() => document.scrollingElement.scrollWidth);
    if (width > 320) found.push(`${address} is ${width} px wide on a screen of 320`);
    await page.setViewportSize({ width: 1280, height: 900 });
  }
  assert.ok(found.length === 0, `\n${found.join("\n")}`);
}, { reducedMotion: "reduce" });
