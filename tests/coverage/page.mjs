// Tests coverage pages in headless Chromium: `make coverage-test`.
//
//   page.mjs DIR    reads small.html, large.html, hostile.html and empty.html in DIR and writes screenshots there

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const dir = path.resolve(process.argv[2]);
const { chromium } = createRequire(path.join(dir, "package.json"))("playwright-core");
const DESKTOP = { width: 1280, height: 800 };
const NARROW = { width: 390, height: 844 };
// Maximum drawing time, and maximum time between frames while scrolling, on a busy machine without a GPU.
const DRAWN_MS = 2000;
const FRAME_MS = 34;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

// Opens a page; any console message, dialog or request is a fault.
async function open(name, options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  const page = await context.newPage();
  const faults = [];
  const url = pathToFileURL(path.join(dir, name)).href;
  page.on("console", (message) => faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { faults.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (request.url() !== url && !request.url().startsWith("data:")) faults.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  await page.waitForFunction(() => document.documentElement.dataset.drawn);
  const close = async () => {
    assert.deepEqual(faults, [], name);
    await context.close();
  };
  return { page, close };
}

// Returns the plan of a page of the example, line by line.
const planOf = (name) => readFileSync(path.join(dir, `${name}.plan`), "utf8").trimEnd().split("\n");
const CLIPBOARD = { permissions: ["clipboard-read", "clipboard-write"] };
const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText());

const text = (page, selector) => page.locator(selector).innerText();
const shown = (page) => text(page, "#shown");

// Returns the position of the first cell with a letter in the window.
const find = (page, letter) => page.evaluate((letter) => {
  const row = model.shown.findIndex(({ letters }) => letters.includes(letter));
  const cell = { row, day: model.shown[row].letters.indexOf(letter) };
  grid.reveal(cell);
  const { x, y, width, height } = grid.rectangle(cell);
  const { customer, query } = model.shown[row];
  return { x: x + width / 2, y: y + height / 2, customer, query, day: model.days[cell.day] };
}, letter);

const tests = {
  async "it looks right on both screens, light and dark"() {
    for (const [screen, viewport] of Object.entries({ desktop: DESKTOP, narrow: NARROW })) {
      for (const colorScheme of ["light", "dark"]) {
        const { page, close } = await open("small.html", { viewport, colorScheme, hasTouch: screen === "narrow" });
        const failed = await find(page, "f");
        if (screen === "desktop") await page.mouse.click(failed.x, failed.y);
        if (screen === "narrow" && colorScheme === "dark") await page.touchscreen.tap(failed.x, failed.y);
        await page.waitForTimeout(200);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${screen}: ${wide} pixels too wide`);
        const file = path.join(dir, `coverage-${screen}-${colorScheme}.png`);
        await page.screenshot({ path: file });
        assert.ok(statSync(file).size < 220_000, `${file} is too large`);
        await close();
      }
    }
  },

  async "its colours follow the system while it is open"() {
    const { page, close } = await open("small.html");
    const colour = () => page.evaluate(() => grid.colours.panel + getComputedStyle(document.body).backgroundColor);
    const light = await colour();
    await page.emulateMedia({ colorScheme: "dark" });
    await page.waitForTimeout(200);
    const dark = await colour();
    assert.equal(light, "#ffffffrgb(244, 246, 248)");
    assert.equal(dark, "#171e27rgb(16, 21, 28)");
    await close();
  },

  async "filters leave the rows that pass"() {
    const { page, close } = await open("small.html");
    assert.equal(await shown(page), "42 rows");
    assert.equal(await text(page, "#share"), "84.6 %", "2,701 of 3,192, and no more");
    const letters = await page.evaluate(() => model.rows.map(({ letters }) => letters).join(""));
    for (const letter of "vsufmlwo") {
      const all = letters.toLowerCase();
      const count = (letter === "v" ? all.replaceAll("o", "v") : all).split(letter).length - 1;
      assert.equal(await text(page, `#standings [data-letter="${letter}"] b`), count.toLocaleString("en"), letter);
    }
    assert.equal(await text(page, '#standings [data-letter="x"] b'), String(letters.replace(/[a-z]/g, "").length));
    const customer = await page.evaluate(() => model.rows[4].customer);
    await page.fill("#customer", customer.slice(0, 8));
    assert.equal(await shown(page), "3 of 42 rows");
    await page.selectOption("#query", "keyword_view");
    assert.equal(await shown(page), "1 of 42 rows");
    await page.fill("#customer", "nobody");
    assert.equal(await text(page, "#empty"), "No row matches these filters.");
    await page.click("#reset");
    await page.waitForFunction(() => model.shown.length === 42);
    const missing = await page.evaluate(() => model.rows.filter(({ letters }) => /m/i.test(letters)).length);
    await page.click('#standings [data-letter="m"]');
    assert.equal(await shown(page), missing === 42 ? "42 rows" : `${missing} of 42 rows`);
    await page.click('#standings [data-letter="m"]');
    const drifting = await page.evaluate(() => model.rows.filter(({ letters }) => /[A-Z]/.test(letters)).length);
    await page.click('#standings [data-letter="x"]');
    assert.equal(await shown(page), `${drifting} of 42 rows`);
    await page.selectOption("#order", "worst");
    const open_ = await page.evaluate(() => model.shown.map(({ letters }) => letters.replace(/[vow]/gi, "").length));
    assert.deepEqual(await page.evaluate(() => model.shown.map((row) => Model.open(row))), open_);
    await page.click('#standings [data-letter="x"]');
    await page.click('#standings [data-letter="o"]');
    const empty = await page.evaluate(() => model.rows.filter(({ letters }) => /o/i.test(letters)).length);
    assert.ok(empty > 0 && empty < 42);
    assert.equal(await shown(page), `${empty} of 42 rows`);
    await close();
  },

  async "the worst rows come first, and lost ones stand out"() {
    const { page, close } = await open("small.html");
    const keys = (order) => page.evaluate((order) => {
      const rows = order === "worst" ? model.shown : model.rows;
      return rows.map(({ letters, counts }) => [counts.l, letters.replace(/[vow]/gi, "").length, counts.x + counts.s]);
    }, order);
    const worst = (await keys("name")).sort((a, b) => b[0] - a[0] || b[1] - a[1] || b[2] - a[2]);
    assert.deepEqual(await keys("worst"), worst);
    assert.ok(worst[0][0] > 0, "the first row has lost cells");
    const lost = worst.reduce((sum, [count]) => sum + count, 0);
    assert.equal(await text(page, "#lost span"), `${lost} partitions are lost: consumers get an error instead of the rows that were validated.`);
    await page.click("#lost button");
    assert.equal(await shown(page), `${worst.filter(([count]) => count > 0).length} of 42 rows`);
    await page.click("#lost button");
    assert.equal(await page.locator('#standings [data-letter="l"]').getAttribute("aria-pressed"), "true", "it stays");
    await page.click("#reset");
    await page.waitForFunction(() => model.shown.length === 42);
    await page.selectOption("#order", "name");
    assert.deepEqual(await page.evaluate(() => model.shown.map(({ number }) => number)), [...Array(42).keys()]);
    await close();
  },

  async "an empty day does not look like a full one, or like a missing one"() {
    const { page, close } = await open("small.html");
    const looks = (letter) => page.evaluate((letter) => {
      // Two pixels for each of 16.
      const { data } = signCanvas(letter, grid.colours, 16).getContext("2d").getImageData(0, 0, 32, 32);
      const at = (x, y) => [...data.slice(4 * (64 * y + 2 * x)).slice(0, 4)].join();
      return { middle: at(8, 8), top: at(8, 1), bottom: at(8, 13) };
    }, letter);
    const [full, empty, missing] = [await looks("v"), await looks("o"), await looks("m")];
    assert.ok(full.middle === full.bottom && full.middle !== "0,0,0,0", JSON.stringify(full));
    assert.deepEqual([empty.middle, empty.top], ["0,0,0,0", "0,0,0,0"]);
    assert.equal(empty.bottom, full.bottom);
    assert.notEqual(missing.top, "0,0,0,0");
    const cell = await find(page, "o");
    await page.mouse.move(cell.x, cell.y);
    assert.match(await text(page, "#details"), /Validated[^]*Rows\s+0\n/);
    await close();
  },

  async "the copy button copies the step of the plan"() {
    const plan = planOf("small.html");
    const { page, close } = await open("small.html", CLIPBOARD);
    for (const letter of "lfmusV") {
      const cell = await find(page, letter);
      await page.mouse.click(cell.x, cell.y);
      await page.click("#details .copy");
      await page.waitForFunction(() => document.querySelector("#details .copy").textContent === "Copied");
      const copied = await clipboard(page);
      const place = `customer_id=${cell.customer}/query_name=${cell.query}/logical_date=${cell.day}`;
      assert.ok(plan.includes(copied) && copied.includes(place), `${letter}: ${copied}`);
      assert.equal((await text(page, "#details pre")).replace(/\s+/g, " "), copied);
      // The pointer may leave the cell.
      await page.mouse.move(5, 5);
      assert.ok(await page.locator("#details").isVisible());
      await page.mouse.click(cell.x, cell.y);
      assert.ok(await page.locator("#details").isHidden(), "a second click closes it");
    }
    const full = await find(page, "v");
    await page.mouse.click(full.x, full.y);
    assert.equal(await text(page, "#details .copy"), "Copy path");
    await page.click("#details .copy");
    assert.equal(await clipboard(page), `google_ads/customer_id=${full.customer}/query_name=${full.query}/logical_date=${full.day}`);
    await page.click("#details .close");
    // Every step of the plan is somewhere on the page.
    const all = await page.evaluate(() => model.shown.map((_, row) => model.commands(row)).join("\n").split("\n"));
    assert.deepEqual(all.sort(), [...plan].sort());
    const lost = await find(page, "l");
    await page.mouse.click(lost.x, lost.y);
    await page.click("#details .copy-row");
    const row = (await clipboard(page)).split("\n");
    assert.equal(row.length, Number((await page.evaluate(() => Model.open(model.shown[grid.cursor.row])))));
    await page.screenshot({ path: path.join(dir, "copied.png") });
    await close();
  },

  async "a browser without a clipboard for local files copies too"() {
    for (const kind of ["missing", "refused", "nothing"]) {
      const { page, close } = await open("small.html", CLIPBOARD);
      await page.evaluate((kind) => {
        const refused = { writeText: () => Promise.reject(new Error("refused")) };
        Object.defineProperty(navigator, "clipboard", { value: kind === "missing" ? undefined : refused });
        if (kind === "nothing") document.execCommand = () => false;
      }, kind);
      const cell = await find(page, "s");
      await page.mouse.click(cell.x, cell.y);
      const command = await page.evaluate(() => textOf(model.cell(grid.cursor.row, grid.cursor.day)));
      assert.match(command, /^rawsink validate /);
      await page.click("#details .copy");
      if (kind === "nothing") {
        await page.waitForFunction(() => document.querySelector("#details .copy").textContent === "Press Ctrl+C to copy");
        assert.equal(await page.evaluate(() => String(getSelection())), command);
        await page.keyboard.press("Control+c");
      } else {
        await page.waitForFunction(() => document.querySelector("#details .copy").textContent === "Copied");
      }
      await page.focus("#customer");
      await page.keyboard.press("Control+v");
      assert.equal(await page.inputValue("#customer"), command, kind);
      await close();
    }
  },

  async "the keyboard copies"() {
    const { page, close } = await open("small.html", CLIPBOARD);
    const plan = planOf("small.html");
    await page.focus("#grid");
    await page.keyboard.press("n");
    await page.keyboard.press("c");
    await page.waitForFunction(() => document.querySelector("#told").textContent === "Copied");
    const first = await clipboard(page);
    assert.ok(plan.includes(first), first);
    assert.ok((await text(page, "#details")).endsWith("Copied"));
    await page.keyboard.press("n");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.className), "copy");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("#told").textContent === "Copied");
    const second = await clipboard(page);
    assert.ok(second !== first && plan.includes(second), second);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Escape");
    assert.ok(await page.locator("#details").isHidden());
    assert.equal(await page.evaluate(() => document.activeElement.id), "grid");
    await close();
  },

  async "hovering over a cell shows its details"() {
    const { page, close } = await open("small.html");
    for (const [letter, name, more] of [
      ["v", "Validated", "T23:05:06.789Z"], ["o", "Validated", "T23:05:06.789Z"], ["s", "Sealed only", "not validated yet"],
      ["u", "Unsealed", "without a seal"], ["f", "Failed", "line 17 is not a JSON object"],
      ["m", "Missing", "No run exists"], ["l", "Lost", "has authority and cannot be read"],
      ["V", "Validated", "-again is sealed and needs a verdict"],
    ]) {
      const cell = await find(page, letter);
      await page.mouse.move(cell.x, cell.y);
      const told = await text(page, "#details");
      const path = `customer_id=${cell.customer}/query_name=${cell.query}/logical_date=${cell.day}`;
      for (const part of [name, more, cell.customer, path]) assert.ok(told.includes(part), `${letter}: ${told}`);
      assert.equal(/^Run$/m.test(told), letter.toLowerCase() !== "m", told);
      assert.equal(/^Rows$/m.test(told), "vol".includes(letter.toLowerCase()), told);
      const { rows } = await page.evaluate(() => model.cell(grid.cursor.row, grid.cursor.day));
      if (letter === "v") assert.ok(rows >= 200 && told.includes(rows.toLocaleString("en")), told);
    }
    await page.mouse.move(5, 5);
    assert.ok(await page.locator("#details").isHidden());
    await close();
  },

  async "the keyboard reaches everything"() {
    const { page, close } = await open("small.html");
    await page.focus("#grid");
    await page.keyboard.press("ArrowDown");
    assert.deepEqual(await page.evaluate(() => grid.cursor), { row: 0, day: 75 }, "the newest day comes first");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    assert.deepEqual(await page.evaluate(() => grid.cursor), { row: 1, day: 1 });
    for (let press = 0; press < 30; press++) {
      await page.keyboard.press("n");
      const letter = await page.evaluate(() => model.shown[grid.cursor.row].letters[grid.cursor.day]);
      assert.notEqual(letter, "v");
    }
    await page.keyboard.press("PageDown");
    await page.keyboard.press("PageDown");
    await page.keyboard.press("PageDown");
    await page.keyboard.press("PageDown");
    assert.equal(await page.evaluate(() => grid.cursor.row), 41, "the end is the end");
    assert.ok(await page.evaluate(() => grid.rectangle(grid.cursor).y + grid.rowHeight <= grid.view.getBoundingClientRect().bottom));
    assert.ok((await text(page, "#details")).includes(await page.evaluate(() => model.shown[41].query)));
    const heard = await page.locator("#told").textContent();
    const seen = await page.evaluate(() => model.cell(grid.cursor.row, grid.cursor.day));
    assert.ok(heard.endsWith(`2024; customer ${seen.row.customer}; query ${seen.row.query}`), heard);
    await page.keyboard.press("Escape");
    assert.ok(await page.locator("#details").isHidden());
    assert.equal(await page.locator("#told").textContent(), "", "nothing is said of no cell");
    const reached = [];
    await page.evaluate(() => document.activeElement.blur());
    for (let press = 0; press < 16; press++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.dataset.letter));
    }
    for (const id of ["v", "m", "l", "x", "customer", "query", "order", "reset", "grid"]) assert.ok(reached.includes(id), `${id}: ${reached}`);
    await close();
  },

  async "filters combine, and a day's bar follows them"() {
    const { page, close } = await open("small.html");
    const rows = (wanted) => page.evaluate((wanted) => model.rows.filter(({ letters }) => wanted.test(letters)).length, wanted);
    await page.click('#standings [data-letter="u"]');
    await page.click('#standings [data-letter="f"]');
    assert.equal(await shown(page), `${await rows(/[uf]/i)} of 42 rows`, "either of two");
    const dimmed = await page.evaluate(() => [..."vsufmVUFM"].filter((letter) => !model.isWanted(letter)).join(""));
    assert.equal(dimmed, "vsmVM");
    await page.focus("#grid");
    // Cycles through each of them once.
    const cells = await page.evaluate(() => model.shown.map(({ letters }) => letters).join("").replace(/[^uf]/gi, "").length);
    const visited = new Set();
    for (let press = 0; press < cells; press++) {
      await page.keyboard.press("n");
      assert.match(await page.evaluate(() => model.shown[grid.cursor.row].letters[grid.cursor.day]), /[uf]/i);
      visited.add(await page.evaluate(() => `${grid.cursor.row} ${grid.cursor.day}`));
    }
    assert.equal(visited.size, cells);
    await page.keyboard.press("n");
    assert.ok(visited.has(await page.evaluate(() => `${grid.cursor.row} ${grid.cursor.day}`)), "and then around again");
    await page.click("#reset");
    await page.waitForFunction(() => model.shown.length === 42);
    assert.equal(await page.locator('#standings [aria-pressed="true"]').count(), 0);
    const customer = await page.evaluate(() => model.rows[40].customer);
    await page.fill("#customer", ` ${customer.slice(3)} `);
    assert.deepEqual(await page.evaluate(() => [...new Set(model.shown.map((row) => row.customer))]), [customer]);
    const shares = await page.evaluate(() => model.openShares());
    const open_ = await page.evaluate(() => model.days.map((_, day) =>
      model.shown.filter(({ letters }) => !"vow".includes(letters[day].toLowerCase())).length / model.shown.length));
    assert.deepEqual(shares, open_);
    await close();
  },

  async "sources are separate"() {
    const small = readFileSync(path.join(dir, "small.html"), "utf8");
    // The first three rows of another source.
    let rows = 0;
    const two = small.replaceAll('["google_ads",', (found) => (rows++ < 3 ? '["bing",' : found));
    writeFileSync(path.join(dir, "two.html"), two);
    const { page, close } = await open("two.html");
    assert.ok((await text(page, "#extent")).startsWith("bing, google_ads · 14 customers ·"));
    await page.selectOption("#source", "bing");
    assert.equal(await shown(page), "3 of 42 rows");
    await page.selectOption("#source", "google_ads");
    assert.equal(await shown(page), "39 of 42 rows");
    await close();
    const one = await open("small.html");
    assert.ok(await one.page.locator("#source").isHidden(), "one source needs no choice");
    await one.close();
  },

  async "details stay on the screen at every width"() {
    const { page, close } = await open("small.html");
    for (const width of [320, 599, 624, 632, 640, 641, 645, 700]) {
      await page.setViewportSize({ width, height: 800 });
      await page.waitForTimeout(100);
      const { x, y, day, customer } = await find(page, "f");
      await page.mouse.move(x, y);
      const told = await text(page, "#details code");
      assert.ok(told.includes(`customer_id=${customer}/`) && told.includes(`=${day}`), `${width}: ${told}, not ${day}`);
      const box = await page.locator("#details").boundingBox();
      assert.ok(box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= 800, `${width}: ${JSON.stringify(box)}`);
      assert.ok(y < box.y || y > box.y + box.height, `${width}: ${JSON.stringify(box)} hides its cell at ${y}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${width}: ${wide} pixels too wide`);
      await page.mouse.move(1, 1);
    }
    await close();
  },

  async "it prints the shown rows in light colours"() {
    const { page, close } = await open("small.html", { colorScheme: "dark" });
    await page.selectOption("#query", "ad_group");
    const pieces = () => page.evaluate(() => [...document.querySelectorAll("#paper canvas")].map(({ width, height }) => [width, height]));
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    // 250 for the names, 11 a day; 62 for the days, 20 a row.
    assert.deepEqual(await pieces(), [[250 + 76 * 11 + 10, 62 + 14 * 20 + 6]]);
    const corner = await page.evaluate(() => [...document.querySelector("#paper canvas").getContext("2d").getImageData(1, 1, 1, 1).data]);
    assert.deepEqual(corner, [255, 255, 255, 255]);
    assert.ok(await page.locator("#paper canvas").isVisible() && await page.locator("#view").isHidden());
    await page.screenshot({ path: path.join(dir, "print.png"), fullPage: true });
    await page.emulateMedia({ media: "screen", colorScheme: "dark" });
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    assert.deepEqual(await pieces(), []);
    assert.equal(await page.evaluate(() => grid.colours.panel), "#171e27");
    await page.click("#reset");
    await page.waitForFunction(() => model.shown.length === 42);
    await page.pdf({ path: path.join(dir, "print.pdf"), preferCSSPageSize: true, printBackground: true });
    await close();
  },

  async "a large grid is printed in part, with a note"() {
    const { page, close } = await open("large.html");
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    assert.equal(await page.locator("#paper canvas").count(), 20);
    assert.equal(await page.locator("#paper").textContent(), "4,500 more rows are not printed: filter them.");
    await close();
  },

  async "malformed records and an empty page are reported"() {
    const hostile = readFileSync(path.join(dir, "hostile.html"), "utf8");
    assert.equal(hostile.split('"faults":0').length, 2);
    writeFileSync(path.join(dir, "faults.html"), hostile.replace('"faults":0', '"faults":2')
      .replace('"odd":[]', '"odd":[["1970-01-01","1970-01-01",1],["9999-12-30","9999-12-31",3]]'));
    const { page, close } = await open("faults.html");
    assert.ok((await text(page, "#faults")).startsWith("2 state records are malformed."));
    assert.equal(await text(page, "#odd"),
      "Not shown, far from all other days: 1970-01-01 (1 partition), 9999-12-30 to 9999-12-31 (3 partitions).");
    await page.screenshot({ path: path.join(dir, "one-cell.png") });
    await close();
    const empty = await open("empty.html");
    assert.equal(await text(empty.page, "#empty"), "No partition exists, and none is expected.");
    assert.equal(await text(empty.page, "#share"), "–");
    assert.ok(await empty.page.locator("#faults").isHidden());
    assert.ok(await empty.page.locator("#odd").isHidden());
    await empty.page.focus("#grid");
    await empty.page.keyboard.press("n");
    await empty.page.screenshot({ path: path.join(dir, "empty.png") });
    await empty.close();
  },

  async "names and reasons are always text"() {
    const { page, close } = await open("hostile.html", CLIPBOARD);
    const cell = await find(page, "s");
    await page.mouse.move(cell.x, cell.y);
    const told = await text(page, "#details");
    assert.ok(told.includes(`"><img src=x onerror=alert(1)><!--<script>`), told);
    await page.mouse.click(cell.x, cell.y);
    await page.click("#details .copy");
    const words = execFileSync("sh", ["-c", `rawsink() { printf '%s\\n' "$@"; }; ${await clipboard(page)}`], { encoding: "utf8" });
    const { path: partition, run } = await page.evaluate(() => model.cell(grid.cursor.row, grid.cursor.day));
    assert.equal(words, `validate\n${partition}/run_id=${run}\n`);
    assert.equal(await page.evaluate(() => document.scripts.length), 2);
    assert.equal(await page.evaluate(() => document.images.length), 0);
    await close();
  },

  async "450,000 cells are drawn at once and scroll smoothly"() {
    const { page, close } = await open("large.html");
    assert.equal(await shown(page), "5,000 rows");
    const drawn = Number(await page.evaluate(() => document.documentElement.dataset.drawn));
    // Time between frames while scrolling, including the browser's work.
    const times = await page.evaluate(async () => {
      const frame = () => new Promise(requestAnimationFrame);
      const times = [];
      let last = await frame();
      for (let step = 0; step < 100; step++) {
        grid.view.scrollTop = step * 977;
        const now = await frame();
        times.push(now - last);
        last = now;
      }
      return times.sort((a, b) => a - b);
    });
    const filter = await page.evaluate(() => {
      const start = performance.now();
      document.querySelector('#standings [data-letter="f"]').click();
      return performance.now() - start;
    });
    const [median, worst] = [times[50], times[99]].map((time) => time.toFixed(1));
    console.log(`  drawn after ${drawn} ms; a frame takes ${median} ms (at the most ${worst}), a filter ${filter.toFixed(0)} ms`);
    assert.ok(drawn < DRAWN_MS, `drawn after ${drawn} ms`);
    assert.ok(times[50] < FRAME_MS, `a frame takes ${median} ms`);
    await close();
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
await browser.close();
if (failed > 0) process.exitCode = 1;
