// The README's pictures, taken from a demo.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { launch, PASSWORD, SIZES, URL_BASE, until } from './lib.mjs';

const { SCREENS } = process.env;
mkdirSync(SCREENS, { recursive: true });
const browser = await launch();

async function take(name, path, look, act = async () => undefined) {
  const context = await browser.newContext({ locale: 'en-GB', colorScheme: 'light', viewport: SIZES.desk, ...look });
  const page = await context.newPage();
  await page.request.post(`${URL_BASE}/api/v1/session`, { data: { username: process.env.SANIMON_NAME ?? 'test', password: PASSWORD } });
  await page.goto(URL_BASE + path);
  await page.locator('main h1').first().waitFor();
  await act(page);
  await page.waitForLoadState('networkidle').catch(() => undefined);
  await page.screenshot({ path: join(SCREENS, `${name}.png`) });
  await context.close();
}
try {
  await take('board', '/', {}, async (page) => {
    await page.locator('.row').first().click();
    await page.locator('.detail h1').waitFor();
    await page.mouse.move(640, 790);
  });
  await take('map', '/map', { colorScheme: 'dark' }, (page) => page.locator('.zone-name').first().waitFor());
  await take('rounds', '/rounds', {}, async (page) => {
    await page.getByRole('button', { name: 'Plan the round' }).click();
    await page.getByRole('heading', { name: 'Stops in their order' }).waitFor({ timeout: 30_000 });
    await until('the map of the round', () => page.locator('.maplibregl-canvas').count());
  });
  await take('trends', '/trends', {}, (page) => page.locator('.figures').waitFor());
  await take('device', '/devices/bin-0001', {}, (page) => page.locator('.chart canvas').first().waitFor());
  await take('rules', '/setup/rules?rule=bin_fill', {}, (page) => page.getByText(/Minor when/).first().waitFor());
  await take('jobs-phone', '/jobs?team=collection', { viewport: SIZES.phone, locale: 'zh-CN' });
  await take('wall', '/wall', { viewport: SIZES.wall });
  console.log('the pictures are taken');
} finally {
  await browser.close();
}
