// What the browser tests share: a browser, a person who signs in, sensors that publish, and an eye on what must never happen.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

export const URL_BASE = process.env.SANIMON_URL;
export const PASSWORD = process.env.SANIMON_PASSWORD;
export const SIZES = { wall: { width: 1920, height: 1080 }, desk: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export function publish(port, kind, device, payload, district = 'east') {
  execFileSync('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(port), '-q', '1', '-t', `sanitation/${district}/${kind}/${device}/telemetry`, '-m', JSON.stringify(payload)]);
}

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-gpu-compositing'],
  });
}

/** A page that notes what leaves the machine, what breaks, and what the Content-Security-Policy refuses. */
export async function watched(browser, options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', viewport: SIZES.desk, ...options });
  const page = await context.newPage();
  const seen = { outside: [], errors: [] };
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(URL_BASE) && !url.startsWith('data:') && !url.startsWith('blob:')) seen.outside.push(url);
  });
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) seen.errors.push(message.text());
  });
  const clean = () => {
    assert.deepEqual(seen.outside, [], 'no request leaves the machine');
    assert.deepEqual(seen.errors, [], 'no error in the page, and nothing that the policy refuses');
  };
  return { context, page, clean };
}

export async function signIn(page, name = 'test', password = PASSWORD) {
  await page.goto(URL_BASE);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Main navigation' }).waitFor();
}

/** What axe finds against WCAG 2.2 AA, as far as a machine can tell. */
export async function violations(page, what) {
  await page.evaluate(axeSource);
  const result = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'] }),
  );
  const told = (node) => `${node.target.join(' ')} ${[...node.any, ...node.all, ...node.none][0]?.message ?? ''}`;
  return result.violations.map(({ id, nodes }) => `${what}: ${id}: ${nodes.map(told).slice(0, 3).join(' | ')}`);
}

/** Asks again until the condition holds. */
export async function until(what, condition) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited 20 s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
