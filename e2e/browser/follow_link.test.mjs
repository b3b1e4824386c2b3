// A visitor with a real browser: a page of somebody else's with a tracking link, a click on it, the
// shop. The server is started by ../tests/browser.rs, which also says where it is:
//   CRUMB_LINK         the tracking link
//   CRUMB_CLICK_URL    click.json with its key, up to the click id
//   CRUMB_CHROMIUM     the browser
//   CRUMB_SCREENSHOTS  a folder for pictures of the pages

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { CRUMB_LINK, CRUMB_CLICK_URL, CRUMB_CHROMIUM, CRUMB_SCREENSHOTS } = process.env;
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let profile, browser, publisher;

before(async () => {
  profile = await mkdtemp(join(tmpdir(), "crumb-browser-"));
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: CRUMB_CHROMIUM,
    headless: true,
    args: ARGUMENTS,
    viewport: { width: 1000, height: 640 },
  });
  publisher = await publish();
});

after(async () => {
  await browser?.close();
  publisher?.close();
  if (profile) await rm(profile, { recursive: true, force: true });
});

/** The page of an affiliate: it has a link for each path, `/away` to the offer, `/lost` to nothing. */
function publish() {
  const lost = new URL("/?a=4000000000&c=1", CRUMB_LINK).href;
  const page = `<!doctype html><title>A blog</title>
    <a id="offer" href="${CRUMB_LINK.replaceAll("&", "&amp;")}">The offer</a>
    <a id="lost" href="${lost.replaceAll("&", "&amp;")}">Nothing</a>`;
  const server = createServer((request, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(page);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** A fresh tab on the affiliate's page. */
async function visit() {
  const page = await browser.newPage();
  const origin = `http://127.0.0.1:${publisher.address().port}/`;
  await page.goto(origin);
  return { page, origin };
}

async function findClick(id) {
  const answer = await fetch(CRUMB_CLICK_URL + id);
  return (await answer.json()).response;
}

test("a visitor who follows the link lands in the shop, and the click is found with its browser", async () => {
  const { page, origin } = await visit();
  await page.click("#offer");
  await page.waitForURL("**/demo/landing**");
  const id = await page.textContent("#click_id");
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  assert.equal(new URL(page.url()).searchParams.get("click_id"), id);
  await page.screenshot({ path: join(CRUMB_SCREENSHOTS, "landing.png") });

  const found = await findClick(id);
  assert.equal(found.total_rows, 1);
  const [click] = found.clicks;
  assert.equal(click.click_id, id);
  assert.equal(click.referrer, origin);
  assert.equal(click.user_agent, await page.evaluate(() => navigator.userAgent));
  assert.match(click.user_agent, /Chrome/);
  assert.equal(click.sub_id_1, await page.textContent("#sub_id_1"));
  assert.equal(click.ip_address, "127.0.0.1");
  assert.deepEqual([click.device, click.os, click.browser], ["desktop", "Linux", "HeadlessChrome"]);
  assert.equal(click.language, "en");
});

test("every visit is a click of its own, also when the browser could have remembered the redirect", async () => {
  const ids = new Set();
  for (let visits = 0; visits < 3; visits += 1) {
    const { page } = await visit();
    await page.click("#offer");
    await page.waitForURL("**/demo/landing**");
    ids.add(await page.textContent("#click_id"));
  }
  assert.equal(ids.size, 3);
});

test("a browser that comes again is the same visitor, and its click a duplicate", async () => {
  await browser.clearCookies();
  const clicks = [];
  for (let visits = 0; visits < 2; visits += 1) {
    const { page } = await visit();
    await page.click("#offer");
    await page.waitForURL("**/demo/landing**");
    clicks.push((await findClick(await page.textContent("#click_id"))).clicks[0]);
  }
  const [first, second] = clicks;
  assert.deepEqual([first.disposition, first.visitor_id], ["accepted", first.click_id]);
  assert.deepEqual([second.disposition, second.visitor_id], ["duplicate", first.click_id]);
  const names = (await browser.cookies(CRUMB_LINK)).map((cookie) => cookie.name).sort();
  assert.deepEqual(names, ["crumb_offer_1", "crumb_visitor"]);
});

test("a link that leads nowhere is a readable page", async () => {
  const { page } = await visit();
  const [answer] = await Promise.all([page.waitForNavigation(), page.click("#lost")]);
  assert.equal(answer.status(), 404);
  assert.equal(await page.textContent("h1"), "Nothing here");
  await page.screenshot({ path: join(CRUMB_SCREENSHOTS, "nothing_here.png") });
});
