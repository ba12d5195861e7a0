// A dispatcher's first minute, in a real browser against a real sanimon: sign in, an empty board, an alert from each
// broker appears without reloading, is acknowledged; the map and a device page draw; no request leaves the machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';

const { SANIMON_URL, SANIMON_PASSWORD, EMBEDDED_PORT, MOSQUITTO_PORT } = process.env;
const publish = (port, device, payload) =>
  execFileSync('mosquitto_pub', ['-h', '127.0.0.1', '-p', port, '-q', '1', '-t', `sanitation/east/bin/${device}/telemetry`, '-m', payload]);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
  ],
});
try {
  const page = await browser.newPage({ locale: 'en-GB', viewport: { width: 1280, height: 800 } });
  const outside = [];
  const errors = [];
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(SANIMON_URL) && !url.startsWith('data:') && !url.startsWith('blob:')) outside.push(url);
  });
  page.on('pageerror', (error) => errors.push(error.message));

  await page.goto(SANIMON_URL);
  await page.getByLabel('Name').fill('test');
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Unknown name or wrong password.').waitFor();
  await page.getByLabel('Password').fill(SANIMON_PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('All is well').waitFor();

  publish(EMBEDDED_PORT, 'from-embedded', '{"fill_pct":91}');
  await page.locator('.row', { hasText: 'from-embedded' }).waitFor();
  // The client's subscription may be made only after the connection: publish until it is heard.
  const heard = page.locator('.row', { hasText: 'from-mosquitto' });
  for (let tries = 0; tries < 20 && (await heard.count()) === 0; tries++) {
    publish(MOSQUITTO_PORT, 'from-mosquitto', '{"fill_pct":99}');
    await heard.waitFor({ timeout: 1000 }).catch(() => undefined);
  }
  assert.equal(await heard.count(), 1, 'one alert, however often it was published');

  await page.keyboard.press('j');
  await page.getByRole('heading', { name: 'Bin is full' }).waitFor();
  await page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
  await page.getByText('Acknowledged by test').waitFor();

  await page.getByRole('link', { name: 'Open the device' }).click();
  await page.getByText('This device was heard but never entered.').waitFor();
  await page.locator('.chart canvas').first().waitFor();
  await page.getByRole('link', { name: 'Map' }).first().click();
  await page.locator('.maplibregl-canvas').waitFor();

  await page.getByTitle('Language').click();
  await page.getByRole('link', { name: '地图' }).waitFor();
  assert.deepEqual(outside, [], 'no request leaves the machine');
  assert.deepEqual(errors, [], 'no error in the page');
  console.log('the board shows both brokers');
} finally {
  await browser.close();
}
