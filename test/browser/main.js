// The page of the HTTP server in a real browser: `npm run test:browser`. Screenshots go into the
// folder SCREENSHOTS, else into a temporary one that is told at the end.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openBrowser, Scene } from "./scene.js";

const screenshots = process.env.SCREENSHOTS ?? mkdtempSync(join(tmpdir(), "um-screenshots-"));
mkdirSync(screenshots, { recursive: true });
const PHONE = { width: 390, height: 844 };
const DESK = { width: 1280, height: 900 };

let browser;
before(async () => {
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  console.log(`Screenshots: ${screenshots}`);
});

/** A page that must not complain, nor ask anybody else. */
async function open(test, url, options = {}) {
  const context = await browser.newContext({ viewport: DESK, ...options });
  test.after(() => context.close());
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", ({ message }) => problems.push(message));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) problems.push(request.url());
  });
  const response = await page.goto(url);
  await page.waitForFunction(() => document.querySelector("#connection").textContent === "Live");
  return { page, problems, response };
}

/** In the page: what the tiles of a service say, digits only. */
function readTiles(name) {
  const card = [...document.querySelectorAll(".service")].find(
    (section) => section.querySelector("h2").textContent === name,
  );
  const tiles = [...(card?.querySelectorAll(".tile") ?? [])].map((tile) => {
    const text = (selector) => tile.querySelector(selector).textContent;
    return [text("h3"), { now: text(".now").trim(), exact: text(".exact") }];
  });
  return Object.fromEntries(tiles);
}

async function fitsItsWidth(page) {
  const { scroll, client } = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth,
    client: document.documentElement.clientWidth,
  }));
  assert.ok(scroll <= client, `the page is ${scroll} pixels wide, the window ${client}`);
}

async function shoot(page, name) {
  for (const [size, viewport] of Object.entries({ 390: PHONE, 1280: DESK })) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(300);
      await page.screenshot({
        path: join(screenshots, `${name}-${size}-${colorScheme}.png`),
        fullPage: true,
      });
      await fitsItsWidth(page);
    }
  }
}

describe("the page", () => {
  it("shows what the workers wrote, with all digits", async (t) => {
    const scene = new Scene(t);
    await scene.supervise();
    await scene.work("web", 2, 10);
    await scene.work("web", 1, 20);
    await scene.work("api", 1, 1);
    const { page, problems } = await open(t, scene.url);
    await page.waitForFunction(() => document.querySelectorAll(".service").length === 2);
    // Units are told after the first values.
    await page.waitForFunction(() => document.querySelector(".tile[title]") !== null);
    await page.waitForFunction(() => document.querySelector(".now").textContent.includes("0 /s"));
    assert.deepEqual(await page.evaluate(readTiles, "web"), {
      requests_total: { now: "0 /s", exact: "44,000,000 in total" },
      requests_active: { now: "44", exact: "" },
      bytes_sent_total: { now: "0 B/s", exact: "27,021,597,764,223,020 in total" },
      event_loop_utilization: { now: "14.7 %", exact: "0.44 of 3 workers" },
      event_loop_delay_seconds: { now: "21 ms", exact: "highest of the workers" },
      rss_bytes: { now: "194 MiB", exact: "203,423,744 bytes" },
      request_duration_seconds: { now: "– p99", exact: "p50\u00a0–, p90\u00a0–, 0/s" },
    });
    assert.equal(await page.textContent("#summary"), "2 services, 4 workers");
    await page.click("summary");
    await page.waitForFunction(() => document.querySelectorAll("details tbody tr").length === 3);
    const row = await page.evaluate(() =>
      [...document.querySelectorAll("details tbody tr td")].slice(0, 9).map((td) => td.textContent),
    );
    assert.deepEqual(row.toSpliced(2, 1).toSpliced(4, 1), [
      "runs",
      "11,000,000",
      "11",
      "9,007,199,254,741,003",
      "11%",
      "0.011",
      "63,963,136",
    ]);
    assert.deepEqual(problems, []);
  });

  it("says which worker is stalled, and when it runs again", async (t) => {
    const scene = new Scene(t);
    await scene.supervise();
    await scene.work("web", 1, 10, "busy");
    const victim = await scene.work("web", 1, 20, "busy");
    await scene.work("api", 1, 1, "busy");
    const { page, problems } = await open(t, scene.url);
    await page.waitForTimeout(8000);
    await shoot(page, "running");
    process.kill(victim.pid, "SIGSTOP");
    await page.waitForSelector(".service.stalled .badge:not([hidden])");
    await page.waitForSelector("tr.stalled");
    assert.equal(await page.textContent(".service.stalled h2"), "web");
    assert.equal(await page.textContent(".service.stalled .badge"), "1 stalled");
    assert.equal(await page.textContent("tr.stalled th"), String(victim.pid));
    assert.match(await page.textContent("tr.stalled .state"), /^stalled \d+ s$/);
    assert.equal(await page.title(), "(1 stalled) Utilization");
    assert.equal(await page.textContent("#news"), "Stalled workers: web: 1");
    await shoot(page, "stalled");
    await page.click(".service.stalled summary");
    await page.waitForSelector("details tr.stalled");
    assert.equal(await page.locator("details tbody tr").first().getAttribute("class"), "stalled");
    await shoot(page, "expanded");
    process.kill(victim.pid, "SIGCONT");
    await page.waitForFunction(() => document.querySelector(".stalled") === null);
    assert.equal(await page.textContent("#news"), "All workers run again");
    assert.deepEqual(problems, []);
  });

  it("says which worker may leak, and what workers say of themselves", async (t) => {
    const scene = new Scene(t);
    scene.options = ["--leak-window", "1"];
    await scene.supervise();
    await scene.work("web", 1, 10, "saying");
    const leaking = await scene.work("web", 1, 20, "leaking");
    await scene.work("api", 1, 1);
    const { page, problems } = await open(t, scene.url);
    await page.waitForSelector(".service.leaking .warning:not([hidden])");
    await page.waitForSelector("tr.leaking");
    assert.equal(await page.textContent(".service.leaking h2"), "web");
    assert.equal(await page.textContent(".service.leaking .warning"), "1 leaking");
    assert.equal(await page.textContent("tr.leaking th"), String(leaking.pid));
    assert.equal(await page.textContent("tr.leaking .state"), "runs, leaking");
    assert.equal(await page.textContent("tr.leaking .leak"), "3");
    assert.equal(await page.textContent("#summary"), "2 services, 3 workers, 1 leaking");
    const said = "version 1.2.1, state serving <b>everybody</b>";
    assert.equal(await page.textContent(".service.leaking .said"), said);
    assert.equal(await page.locator(".said:not([hidden])").count(), 1);
    await shoot(page, "leaking");
    await page.click(".service.leaking summary");
    await page.waitForFunction(() => document.querySelectorAll("details tbody tr").length === 2);
    const texts = await page.evaluate(() =>
      [...document.querySelectorAll("details .text")].map(({ textContent }) => textContent),
    );
    const own = ["1.2.1", "serving <b>everybody</b>"];
    assert.deepEqual(texts, ["version", "state", ...own, ...own]);
    await shoot(page, "texts");
    assert.deepEqual(problems, []);
  });

  it("is used by keyboard", async (t) => {
    const scene = new Scene(t);
    await scene.supervise();
    await scene.work("web", 2, 10);
    const { page, problems } = await open(t, scene.url);
    await page.waitForSelector(".service");
    const focused = () => page.evaluate(() => document.activeElement.localName);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await focused(), "main");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "summary");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelectorAll("details tbody tr").length === 2);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "region");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Space");
    await page.waitForFunction(() => !document.querySelector("details").open);
    const charts = await page.evaluate(() =>
      [...document.querySelectorAll(".chart")].map((chart) => chart.getAttribute("aria-label")),
    );
    assert.ok(charts.length > 0);
    for (const label of charts.filter(Boolean))
      assert.match(label, /^Chart of \w+( p99)?, last five/);
    assert.deepEqual(problems, []);
  });

  it("finds its supervisor again, and says so meanwhile", async (t) => {
    const scene = new Scene(t);
    await scene.supervise();
    await scene.work("web", 1, 10);
    const { page } = await open(t, scene.url);
    await page.waitForSelector(".service");
    const { host } = new URL(scene.url);
    scene.supervisor.kill("SIGKILL");
    await page.waitForSelector("body.lost");
    assert.match(
      await page.textContent("#connection"),
      /^No connection, trying again\. Values are of \d\d:\d\d:\d\d\.$/,
    );
    await shoot(page, "lost");
    await scene.supervise(host);
    await page.waitForFunction(() => document.querySelector("#connection").textContent === "Live");
    await page.waitForFunction(() =>
      document.querySelector(".count").textContent.startsWith("1 worker"),
    );
    assert.equal(await page.evaluate(() => document.body.className), "");
  });

  it("shows two hundred workers", async (t) => {
    const scene = new Scene(t);
    await scene.supervise();
    await scene.work("web", 196, 0, "busy");
    for (const service of [
      "api",
      "mail",
      "search",
      "a-service-with-quite-a-long-name-of-its-own",
    ]) {
      await scene.work(service, 1, 5, "busy");
    }
    const { page, problems } = await open(t, scene.url);
    await page.waitForSelector(".service");
    await page.click("summary");
    await page.waitForFunction(() => document.querySelectorAll("details tbody tr").length === 196);
    assert.equal(await page.textContent("#summary"), "5 services, 200 workers");
    await page.waitForTimeout(4000);
    await shoot(page, "many");
    assert.deepEqual(problems, []);
  });

  it("is held to its policy by the browser", async (t) => {
    const scene = new Scene(t);
    await scene.supervise();
    const { page, response } = await open(t, scene.url);
    await page.waitForSelector(".note");
    await shoot(page, "empty");
    const policy = response.headers()["content-security-policy"];
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.doesNotMatch(policy, /unsafe/);
    const outcome = await page.evaluate(async () => {
      const style = document.createElement("style");
      style.textContent = "h1 { color: rgb(1, 2, 3) }";
      document.head.append(style);
      const attempt = async (action) => {
        try {
          await action();
          return "allowed";
        } catch (error) {
          return error.name;
        }
      };
      return {
        style: getComputedStyle(document.querySelector("h1")).color === "rgb(1, 2, 3)",
        elsewhere: await attempt(() => fetch("http://127.0.0.1:1/", { mode: "no-cors" })),
        markup: await attempt(() => {
          document.body.innerHTML = "<p>";
        }),
      };
    });
    assert.deepEqual(outcome, {
      style: false,
      elsewhere: "TypeError",
      markup: "TypeError",
    });
  });
});
