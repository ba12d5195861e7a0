// Every page, in both languages, light and dark, on a desk and on a phone: accessible (WCAG 2.2 AA, by axe), without an error, without
// a request that leaves the machine, without anything that the Content-Security-Policy refuses, and without a page that scrolls sideways.
import assert from 'node:assert/strict';
import { launch, SIZES, URL_BASE, violations, watched, PASSWORD } from './lib.mjs';

const PAGES = ['/', '/map', '/jobs', '/rounds', '/devices', '/devices/bin-0001', '/devices/drain-0001', '/devices/toilet-0001', '/trends', '/report', '/wall', '/health', '/me',
  '/setup/devices', '/setup/zones', '/setup/teams', '/setup/rules?rule=bin_fill', '/setup/messages', '/setup/access', '/setup/users', '/setup/audit'];
const LOOKS = [
  { name: 'desk, English, light', viewport: SIZES.desk, locale: 'en-GB', colorScheme: 'light' },
  { name: 'phone, Chinese, dark', viewport: SIZES.phone, locale: 'zh-CN', colorScheme: 'dark' },
];
const only = process.env.ONLY;
const browser = await launch();
const found = [];
try {
  for (const { name, ...look } of LOOKS) {
    const { page, clean } = await watched(browser, look);
    await page.request.post(`${URL_BASE}/api/v1/session`, { data: { username: process.env.SANIMON_NAME ?? 'test', password: PASSWORD } });
    for (const path of PAGES.filter((path) => !only || path === only)) {
      await page.goto(URL_BASE + path);
      await page.locator('main h1').first().waitFor();
      await page.waitForLoadState('networkidle').catch(() => undefined);
      found.push(...(await violations(page, `${path} (${name})`)));
      const wide = await page.evaluate(() => document.querySelector('main').scrollWidth - document.querySelector('main').clientWidth);
      if (wide > 1) found.push(`${path} (${name}): scrolls sideways by ${wide} px`);
    }
    clean();
  }
  assert.deepEqual(found, []);
  console.log('every page holds');
} finally {
  await browser.close();
}
