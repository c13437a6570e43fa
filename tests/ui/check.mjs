// Opens the dashboard of a real router in a real browser, and looks.

import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Router } from "./router.mjs";
import { HOSTILE, scene } from "./scene.mjs";

const [executablePath, binaries, shots] = process.argv.slice(2);
const PATIENCE = 30_000;

const world = await scene(binaries);
const router = await Router.start(binaries, world.config);
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** What went wrong on any page that should be without fault. */
const faults = [];

/** A new page that notes every fault. */
async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("console", (said) => {
    if (["error", "warning"].includes(said.type())) faults.push(`console: ${said.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`script: ${error}`));
  page.on("requestfailed", (request) => {
    // A page that is closed takes its last request with it.
    if (!page.isClosed()) faults.push(`failed: ${request.url()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${router.url}/`)) faults.push(`elsewhere: ${request.url()}`);
  });
  await page.goto(`${router.url}${path}`);
  return page;
}

const shot = (page, name, fullPage = true) => page.screenshot({ path: join(shots, `${name}.png`), fullPage });
const row = (page, name) => page.locator(`#backends tr[data-key="b-${name}"]`);
const until = (page, question, argument) => page.waitForFunction(question, argument, { timeout: PATIENCE });
const rowSays = (page, name, text) =>
  until(page, ([name, text]) => document.querySelector(`#backends tr[data-key="b-${name}"]`)?.innerText.includes(text), [name, text]);

async function traffic(times) {
  for (let n = 0; n < times; n++) {
    world.orders.delay = 5 + 15 * (n % 4);
    await router.call("orders.get_order", { id: "secret-argument" });
    await Promise.all([router.call("search.query"), router.call("search.query")]);
    if (n % 5 === 0) await router.call("orders.fails");
    if (n % 4 === 0) await router.call("weather.forecast");
  }
}

const checks = {
  async "the page shows backends, calls and catalogue, and nothing of what calls carry"() {
    const page = await open("/ui");
    for (const name of ["orders", "search", "weather", "files", "strange"]) await rowSays(page, name, "healthy");
    await rowSays(page, "archive", "switched off");
    assert.equal(await page.locator("#backends tr.endpoint").count(), 2, "the replicas of search");
    await traffic(8);
    await until(page, () => document.querySelectorAll("#calls tbody tr").length > 20);
    const calls = await page.locator("#calls").innerText();
    for (const text of ["orders.get_order", "night-shift-agent", "tool error", "ok"]) assert.ok(calls.includes(text), text);
    const all = await page.content();
    assert.ok(!all.includes("secret-argument"), "arguments");
    assert.match(await page.locator("#catalogue").innerText(), /The first 200 of \d+ items/);
    assert.equal(await page.locator("h1").count(), 1);
    await page.context().close();
  },

  async "it keeps itself fresh, and says when a backend goes and returns"() {
    const page = await open("/ui");
    await rowSays(page, "weather", "healthy");
    await page.locator("#q").focus();
    await world.weather.kill();
    await Promise.all([1, 2, 3].map(() => router.call("weather.forecast")));
    await until(page, () => !document.querySelector('#backends tr[data-key="b-weather"]').innerText.includes("healthy"));
    await rowSays(page, "weather", "next try");
    await until(page, () => document.title.startsWith("(1)"));
    assert.ok(await row(page, "weather").evaluate((tr) => tr.classList.contains("sick")));
    assert.ok((await row(page, "weather").innerText()).includes("refused"), "why");
    await page.evaluate(() => scrollTo(0, 0));
    await shot(page, "outage", false);
    await world.weather.start();
    await rowSays(page, "weather", "healthy");
    await until(page, () => document.title === "mcp-router");
    const focused = await page.evaluate(() => document.activeElement?.id);
    assert.equal(focused, "q", "the focus stays through all updates");
    await page.context().close();
  },

  async "the catalogue is searched, by script and by address"() {
    const page = await open("/ui");
    await page.locator("#q").fill("ORDER parcel");
    await until(page, () => document.querySelectorAll("#found tbody tr").length === 1);
    assert.ok((await page.locator("#found").innerText()).includes("orders.get_order"));
    assert.equal(new URL(page.url()).search, "?q=ORDER+parcel");
    await page.locator("#q").fill("");
    await page.locator("#kind").selectOption("template");
    await until(page, () => document.getElementById("found").innerText.includes("The invoice of one order"));
    assert.ok(!(await page.locator("#found").innerText()).includes("orders.get_order"));
    await page.reload();
    assert.equal(await page.locator("#kind").inputValue(), "template", "the address keeps the search");
    assert.match(await page.locator("#found tbody").innerText(), /invoice/);
    await page.context().close();
  },

  async "what a hostile backend writes is text"() {
    const page = await open("/ui?q=strange");
    const found = await page.locator("#found").innerText();
    assert.ok(found.includes(HOSTILE.name) && found.includes("<script>window.owned=1</script>"), found);
    assert.ok(found.includes("\\u{202e}"), "what turns text around is shown");
    await router.call(`strange.${HOSTILE.name}`);
    await until(page, (name) => document.querySelector("#calls").innerText.includes(name), HOSTILE.name);
    await page.goto(`${router.url}/ui?q=${encodeURIComponent(`"><script>window.owned=1</script>`)}`);
    assert.equal(await page.locator("#q").inputValue(), `"><script>window.owned=1</script>`);
    assert.equal(await page.evaluate(() => window.owned), undefined);
    assert.equal(await page.locator("main script, main img, main svg[onload]").count(), 0);
    await page.context().close();
  },

  async "the policy of the page lets no script in even if escaping failed"() {
    const page = await open("/ui");
    const before = faults.length;
    const owned = await page.evaluate(() => {
      const broken = document.createElement("div");
      broken.innerHTML = `<img src="ui/nothing" onerror="window.owned=1">`;
      const script = document.createElement("script");
      script.textContent = "window.owned=1";
      document.body.append(broken, script);
      return new Promise((resolve) => setTimeout(() => resolve(window.owned), 500));
    });
    assert.equal(owned, undefined);
    const blocked = faults.splice(before).filter((fault) => /content security policy/i.test(fault));
    assert.ok(blocked.length >= 2, "the browser says what it blocked");
    await page.context().close();
  },

  async "without a script it is the same page"() {
    const page = await open("/ui?q=forecast", { javaScriptEnabled: false });
    for (const text of ["orders", "healthy", "weather.forecast", "Recent calls", "load again"]) {
      assert.ok((await page.locator("body").innerText()).includes(text), text);
    }
    await page.locator("#q").fill("complaint");
    await page.locator("#search button").click();
    await page.waitForURL(/q=complaint/);
    assert.ok((await page.locator("#found").innerText()).includes("orders.complaint"));
    await page.getByRole("link", { name: "Failed only" }).click();
    await page.waitForURL(/calls=failed/);
    const calls = await page.locator("#calls tbody").innerText();
    assert.ok(calls.includes("tool error") && !/\bok\b/.test(calls), calls);
    await shot(page, "without-script");
    await page.context().close();
  },

  async "it can be used with a keyboard, and is told to those who cannot see it"() {
    const page = await open("/ui");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the backends");
    await page.keyboard.press("Enter");
    assert.equal(new URL(page.url()).hash, "#backends");
    for (const name of ["Backends", "Recent calls", "Configuration", "Catalogue"]) {
      assert.equal(await page.getByRole("heading", { name, exact: true }).count(), 1, name);
    }
    assert.ok((await page.getByRole("table").count()) >= 3);
    assert.equal(await page.getByRole("columnheader", { name: "Circuit" }).count(), 1);
    assert.equal(await page.getByRole("img", { name: /^orders: \d+ calls?, \d+ failed/ }).count(), 1);
    assert.equal(await page.getByRole("searchbox", { name: "Search" }).count(), 1);
    await page.context().close();
  },

  async "it fits narrow screens, light and dark"() {
    for (const [name, options] of [
      ["light", {}],
      ["dark", { colorScheme: "dark" }],
      ["narrow", { viewport: { width: 390, height: 844 } }],
      ["narrow-dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }],
      ["middle", { viewport: { width: 1024, height: 800 } }],
    ]) {
      const page = await open("/ui?q=order", options);
      await until(page, () => document.getElementById("freshness").textContent === "Live");
      const [wide, view] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(wide <= view, `${name}: ${wide} px in ${view}`);
      await shot(page, name);
      const poor = await page.evaluate(contrasts);
      assert.deepEqual(poor, [], `${name}: too little contrast`);
      await page.context().close();
    }
  },

  async "the result of a reload is shown"() {
    const page = await open("/ui");
    router.rewrite(world.config.replace("- { name: archive", "- { nmae: archive"));
    await until(page, () => document.querySelector("#configuration").innerText.includes("refused"));
    const refused = await page.locator("#configuration").innerText();
    assert.match(refused, /unknown key `nmae`/);
    await shot(page, "reload");
    router.rewrite(world.config.replace(/  - \{ name: archive.*\n/, ""));
    await until(page, () => document.querySelector("#configuration").innerText.includes("applied"));
    await until(page, () => !document.querySelector('#backends tr[data-key="b-archive"]'));
    await page.context().close();
  },

  async "the entrance points to everything"() {
    const page = await open("/");
    await shot(page, "entrance");
    await page.getByRole("link", { name: "/ui" }).click();
    await page.waitForURL(/\/ui$/);
    await page.context().close();
  },

  async "no page had a fault, and none asked another server for anything"() {
    assert.deepEqual(faults, []);
  },

  async "a page whose router is gone says so"() {
    const page = await open("/ui");
    await router.stop();
    await until(page, () => document.getElementById("freshness").textContent.includes("does not answer"));
    await page.context().close();
  },
};

/** Texts whose contrast with what is behind them is below 4.5 (WCAG AA). */
function contrasts() {
  const rgb = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const linear = [r, g, b].map((c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const poor = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.nodeValue.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) poor.add(`${element.tagName}.${element.className}: ${contrast.toFixed(1)}`);
  }
  return [...poor];
}

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const started = Date.now();
  try {
    await check();
    console.log(`ok    ${name} (${Date.now() - started} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n${error.stack ?? error}`);
  }
}
await browser.close();
if (failed > 0) console.log(`faults: ${faults.join("\n")}\nthe router's log ends with:\n${router.log.slice(-20).join("\n")}`);
console.log(`${Object.keys(checks).length - failed} of ${Object.keys(checks).length} checks passed; pictures in ${shots}`);
process.exit(failed > 0 ? 1 : 0);
