// What all stories share: a browser at the server's address, and how to look at a page as its reader does.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { basename, join } from "node:path";

const require = createRequire(join(process.env.JITNEY_TEST_MODULES, "package.json"));
const { chromium, firefox } = require("playwright-core");
const { default: AxeBuilder } = require("@axe-core/playwright");

const [address, ...given] = process.argv.slice(2);

/** What the test says to the story, after the server's address. */
export const words = given;

const executablePath = process.env.JITNEY_TEST_BROWSER;

/** Whether it is played in Firefox, which cannot do all that Chromium does for a test. */
export const isFirefox = basename(executablePath).startsWith("firefox");

function launch() {
  if (isFirefox) return firefox.launch({ executablePath, channel: "moz-firefox" });
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** Plays a story in a browser of its own. A mistake of a script, or a refusal by the policy of the page, fails it. */
export async function story(play, options = {}) {
  const browser = await launch();
  const context = await browser.newContext({
    baseURL: `http://${address}`, viewport: { width: 1280, height: 900 }, ...options,
  });
  context.setDefaultTimeout(30_000);
  const problems = [];
  context.on("weberror", (error) => problems.push(error.error().message));
  context.on("console", (line) => {
    // A server that is away is what some stories are about.
    if (line.type() === "error" && !line.text().includes("Failed to load resource")) problems.push(line.text());
  });
  const page = await context.newPage();
  try {
    await play(page, context);
    assert.deepEqual(problems, []);
  } catch (error) {
    for (const problem of problems) console.error(`the browser said: ${problem}`);
    throw error;
  } finally {
    await picture(context.pages());
    await browser.close();
  }
}

/** What the reader saw last, kept where JITNEY_TEST_PICTURES says. */
async function picture(pages) {
  const folder = process.env.JITNEY_TEST_PICTURES;
  if (!folder) return;
  const name = basename(process.argv[1], ".mjs");
  for (const [at, page] of pages.entries()) {
    await page.screenshot({ path: join(folder, `${name}${at ? `-${at + 1}` : ""}.png`), timeout: 10_000 }).catch(() => {});
  }
}

/** Waits until the page shows a text. */
export async function sees(page, text) {
  await page.getByText(text).first().waitFor();
}

/** Tells the test that the story has come to a point where something has to happen outside. */
export function tell(word) {
  console.log(word);
}

/** What axe-core finds wrong with a page, as lines. */
export async function barriers(page) {
  const found = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]).analyze();
  return found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)} (${node.failureSummary})`));
}
