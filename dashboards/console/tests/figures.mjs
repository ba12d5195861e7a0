// How fast the console is, in a real Chromium against the sanimon that is named by SANIMON_BINARY: prints one JSON object.
// `sanimon bench console` runs it. Everything it makes is in a folder of its own, and it ends what it started.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BINARY = process.env.SANIMON_BINARY;
const DEVICES = Number(process.env.DEVICES ?? 5_000);
const MAP_DEVICES = Number(process.env.MAP_DEVICES ?? 10_000);
const OPEN = Number(process.env.OPEN ?? 300);
const STREAM_S = Number(process.env.STREAM_S ?? 60);
const RATE = 50;
const PASSWORD = 'only for these figures';

const folder = mkdtempSync(join(tmpdir(), 'sanimon-figures-'));
const freePort = () => new Promise((resolve) => { const server = createServer().listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => resolve(port)); }); });
const [http, mqtt] = [await freePort(), await freePort()];
const base = `http://127.0.0.1:${http}`;
process.env.SANIMON_URL = base;
const { launch, until } = await import('./lib.mjs');

writeFileSync(join(folder, 'sanimon.toml'), `[site]\ndata = "data"\n[http]\nlisten = "127.0.0.1:${http}"\n[mqtt.embedded]\nlisten = "127.0.0.1:${mqtt}"\n[[mqtt.format]]\nformat = "thingsboard"\ntopics = ["v1/gateway/telemetry"]\nkind = "bin"\n`);
const data = join(folder, 'data');
const run = (args, input) => { const done = spawnSync(BINARY, args, { input, encoding: 'utf8' }); if (done.status !== 0) throw new Error(`${args[0]}: ${done.stderr}`); };

/** A town of this size on a grid, as a table of devices. */
function table(from, to) {
  const lines = ['id,kind,lat,lon,interval_s'];
  for (let n = from; n < to; n++) lines.push(`bin-${n},bin,${(30.1 + (n % 100) * 0.002).toFixed(5)},${(119.5 + Math.floor(n / 100) * 0.002).toFixed(5)},3600`);
  return lines.join('\n');
}
/** A year of hourly readings of one bin, in line protocol. */
function year() {
  const now = Math.floor(Date.now() / 3_600_000) * 3_600_000;
  return Array.from({ length: 365 * 24 }, (_, hour) => `bin,device=bin-0 fill_pct=${(hour * 7) % 96} ${(now - (hour + 1) * 3_600_000)}000000`).reverse().join('\n');
}
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const quantile = (list, share) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))];
const round = (value) => Math.round(value * 10) / 10;

let server, publisher, browser;
/** One line of the gateway's topic: each device with its value. */
const send = (values) => publisher.stdin.write(`${JSON.stringify(Object.fromEntries(Object.entries(values).map(([device, fill_pct]) => [device, [{ fill_pct }]])))}\n`);

async function prepared() {
  run(['user', 'add', 'bench', '--role', 'admin', '--data', data], PASSWORD);
  writeFileSync(join(folder, 'year.line'), year());
  run(['import', join(folder, 'year.line'), '--data', data]);
  server = spawn(BINARY, ['serve', '--config', join(folder, 'sanimon.toml')], { stdio: 'ignore' });
  await until('sanimon answers', () => fetch(`${base}/readyz`).then((answer) => answer.ok, () => false));
  const answer = await fetch(`${base}/api/v1/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'bench', password: PASSWORD }) });
  const cookie = answer.headers.get('set-cookie').split(';')[0];
  const enter = (from, to) => fetch(`${base}/api/v1/devices/import`, { method: 'POST', headers: { cookie }, body: table(from, to) });
  await enter(0, DEVICES);
  publisher = spawn('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(mqtt), '-q', '1', '-t', 'v1/gateway/telemetry', '-l'], { stdio: ['pipe', 'ignore', 'inherit'] });
  for (let from = 0; from < DEVICES; from += 500) send(Object.fromEntries(Array.from({ length: Math.min(500, DEVICES - from) }, (_, n) => [`bin-${from + n}`, from + n < OPEN ? 92 : 30])));
  const open = async () => (await (await fetch(`${base}/api/v1/alerts/counts`, { headers: { cookie } })).json()).total;
  await until('the alerts are open', async () => (await open()) >= OPEN);
  return { cookie, enter };
}

async function signedIn(cookie, script) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', serviceWorkers: 'block' });
  const [name, value] = cookie.split('=');
  await context.addCookies([{ name, value, url: base }]);
  const page = await context.newPage();
  if (script) await page.addInitScript(script);
  return { context, page };
}

/** From the navigation to the first row that can be clicked, with an empty cache. */
async function firstLoad(cookie) {
  const times = [];
  for (let n = 0; n < 5; n++) {
    const { context, page } = await signedIn(cookie, () => {
      const look = () => (document.querySelector('.row') ? requestAnimationFrame(() => (window.usableAt = performance.now())) : requestAnimationFrame(look));
      look();
    });
    await page.goto(base);
    times.push(await until('the board is usable', () => page.evaluate(() => window.usableAt)));
    await context.close();
  }
  return median(times);
}

/** From the publish to the row on the screen. */
async function alertOnScreen(page) {
  const times = [];
  for (let n = 0; n < 20; n++) {
    const device = `bin-${OPEN + n}`;
    await page.evaluate((text) => {
      window.shownAt = 0;
      const look = () => ([...document.querySelectorAll('.row')].some((row) => row.textContent.includes(text)) ? requestAnimationFrame(() => (window.shownAt = performance.timeOrigin + performance.now())) : requestAnimationFrame(look));
      look();
    }, `${device} `);
    const at = performance.timeOrigin + performance.now();
    send({ [device]: 99 });
    times.push((await until('the alert is on the screen', () => page.evaluate(() => window.shownAt))) - at);
  }
  return times;
}

const heap = async (client) => {
  await client.send('HeapProfiler.collectGarbage');
  return (await client.send('Runtime.getHeapUsage')).usedSize / 1e6;
};
/** Frames of the page while something goes on: the longest gap between two, and how many were longer than 100 ms. */
const watchFrames = (page) => page.evaluate(() => {
  window.gaps = [];
  let before = performance.now();
  const frame = (now) => { window.gaps.push(now - before); before = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
});
/** Sends so many lines a second for so long. */
async function stream(seconds, each) {
  const from = performance.now();
  for (let n = 0; n < seconds * RATE; n++) {
    const wait = from + (n * 1000) / RATE - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    each(n);
  }
}

async function measured() {
  const { cookie, enter } = await prepared();
  browser = await launch();
  if (process.env.ONLY === 'map') {
    await enter(DEVICES, MAP_DEVICES);
    return { map: { devices: MAP_DEVICES, ...(await mapPan(cookie)) } };
  }
  const result = { devices: DEVICES, open_alerts: OPEN, first_load_ms: round(await firstLoad(cookie)) };
  const { context, page } = await signedIn(cookie);
  await page.goto(base);
  await page.locator('.row').first().waitFor();
  const shown = await alertOnScreen(page);
  result.alert_on_screen_ms = { p50: round(median(shown)), p95: round(quantile(shown, 0.95)) };
  const client = await context.newCDPSession(page);
  await watchFrames(page);
  let next = OPEN + 20;
  await stream(STREAM_S, () => send({ [`bin-${next++ % DEVICES}`]: 93 }));
  const gaps = await page.evaluate(() => window.gaps.slice(1));
  result.alert_stream = { alerts_per_s: RATE, seconds: STREAM_S, longest_frame_ms: round(Math.max(...gaps)), frames_over_100_ms: gaps.filter((gap) => gap > 100).length, frames_per_s: round(gaps.length / STREAM_S) };
  // Readings without alerts: what is kept must not grow.
  await stream(10, (n) => send({ [`bin-${n % OPEN}`]: 92 + (n % 3) }));
  const before = await heap(client);
  await stream(STREAM_S, (n) => send({ [`bin-${n % OPEN}`]: 92 + (n % 3) }));
  result.readings_stream = { readings: STREAM_S * RATE, heap_mb_before: round(before), heap_mb_after: round(await heap(client)) };
  await page.goto(`${base}/devices/bin-0`);
  await page.locator('.chart canvas').first().waitFor();
  const chart = [];
  for (let n = 0; n < 5; n++) {
    await page.getByRole('button', { name: '24 h' }).click();
    await page.locator('[data-drawn="1d"]').waitFor();
    chart.push(await page.evaluate(() => new Promise((resolve) => {
      const at = performance.now();
      [...document.querySelectorAll('.segments button')].at(-1).click();
      const look = () => (document.querySelector('[data-drawn="1y"]') ? requestAnimationFrame(() => resolve(performance.now() - at)) : requestAnimationFrame(look));
      look();
    })));
  }
  result.year_chart_ms = round(median(chart));
  await context.close();
  await enter(DEVICES, MAP_DEVICES);
  result.map = { devices: MAP_DEVICES, ...(await mapPan(cookie)) };
  return result;
}

async function mapPan(cookie) {
  const { context, page } = await signedIn(cookie);
  await page.goto(`${base}/map`);
  await page.locator('.maplibregl-canvas').waitFor();
  await page.waitForLoadState('networkidle');
  const renderer = await page.evaluate(() => { const gl = document.createElement('canvas').getContext('webgl'); const info = gl?.getExtension('WEBGL_debug_renderer_info'); return info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : 'unknown'; });
  // The devices are drawn within two seconds of the last change.
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  const pan = async () => {
    await watchFrames(page);
    const from = performance.now();
    await page.mouse.move(900, 400);
    await page.mouse.down();
    for (let n = 0; performance.now() - from < 5_000; n++) await page.mouse.move(900 - 250 * Math.abs(Math.sin(n / 40)), 400 + 100 * Math.cos(n / 40));
    await page.mouse.up();
    const gaps = await page.evaluate(() => window.gaps.slice(1));
    return { frames_per_s: round(gaps.length / ((performance.now() - from) / 1000)), p95_frame_ms: round(quantile(gaps, 0.95)) };
  };
  const whole = await pan();
  // What the renderer can do with nothing on the map.
  await page.goto(`${base}/map?hide=bin,drain,toilet`);
  await page.locator('.maplibregl-canvas').waitFor();
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  const empty = await pan();
  await page.goto(`${base}/map`);
  await page.locator('.maplibregl-canvas').waitFor();
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  for (let n = 0; n < 3; n++) await page.getByRole('button', { name: 'Zoom in' }).click();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const near = await pan();
  await context.close();
  return { renderer, empty, whole_town: whole, zoomed_in: near };
}

try {
  console.log(JSON.stringify(await measured(), null, 2));
} finally {
  await browser?.close();
  publisher?.kill();
  server?.kill();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
