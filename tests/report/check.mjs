// Opens the page that `deploy` wrote and checks that it shows what report.json holds: every plot has data, every figure
// stands in the JSON under the pointer that it names, and nothing is loaded from elsewhere.
//
// usage: node check.mjs DIR [--screenshot PREFIX]     (npm install playwright-core; CHROMIUM names the browser)

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [dir, option, prefix] = process.argv.slice(2);
if (!dir) {
  console.error("usage: node check.mjs DIR [--screenshot PREFIX]");
  process.exit(2);
}
const report = JSON.parse(readFileSync(resolve(dir, "report.json"), "utf8"));
const faults = [];
const expect = (good, text) => good || faults.push(text);
const at = (pointer) =>
  pointer.split("/").slice(1).reduce((value, key) => (value == null ? undefined : value[key]), report);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
const requests = [];
page.on("request", (r) => requests.push(r.url()));
page.on("pageerror", (e) => faults.push(`script error: ${e}`));
const url = pathToFileURL(resolve(dir, "report.html")).href;
await page.goto(url);

expect(requests.length === 1 && requests[0] === url, `the page loads more than itself: ${requests.join(", ")}`);

const figures = await page.$$eval("[data-json][data-value]", (all) => all.map((e) => [e.dataset.json, e.dataset.value]));
expect(figures.length > 20, `only ${figures.length} figures`);
for (const [pointer, value] of figures) {
  expect(Number(value) === at(pointer), `${pointer}: the page shows ${value}, the report holds ${at(pointer)}`);
}

const boxes = (selector) => page.$$eval(selector, (all) => all.map((e) => e.getBBox()).map((b) => [b.width, b.height]));
for (const [id, data] of [["plot-nodes", "nodes"], ["plot-latency", "latency"], ["plot-layers", "layers"], ["plot-memory", "memory"]]) {
  const plot = report.plots[data];
  const empty = plot == null || (Array.isArray(plot) && plot.length === 0);
  const found = await page.$(`#${id}`);
  expect(!empty, `the report holds no data for ${id}`);
  if (empty) continue;
  expect(found, `${id} is missing`);
  if (!found) continue;
  const drawn = await boxes(`#${id} .bar, #${id} .curve`);
  const wanted = data === "memory" ? 1 : Array.isArray(plot) ? plot.length : plot.counts.length;
  expect(drawn.length === wanted, `${id}: ${drawn.length} marks for ${wanted} values`);
  expect(drawn.some(([w, h]) => w > 0 && h > 0), `${id}: nothing has a size`);
}
if (report.plots.latency) {
  const runs = report.plots.latency.counts.reduce((a, b) => a + b, 0);
  const bench = report.precisions.find((p) => p.name === report.chosen).bench;
  expect(runs === bench.latency.count, `the histogram holds ${runs} of ${bench.latency.count} runs`);
}
if (report.plots.memory) {
  const points = await page.$eval("#plot-memory .curve", (e) => Number(e.dataset.points));
  expect(points === report.plots.memory.values.length, `the memory plot has ${points} points`);
}
const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
expect(!wide, "the page is wider than its window");

if (option === "--screenshot") {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: `${prefix}-${scheme}.png`, fullPage: true });
  }
}
await browser.close();
faults.forEach((f) => console.log(f));
console.log(faults.length === 0 ? `${figures.length} figures and 4 plots agree with report.json` : `${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);
