// A storm: more alerts are open than a page loads. The oldest critical one stands on top, the counts are of all, the page says that it
// does not show all; and what is cleared makes room for the rest. In English on a desk, in Chinese on a phone.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { launch, PASSWORD, SIZES, until, URL_BASE, violations, watched } from './lib.mjs';

const { MQTT_PORT, SHOTS } = process.env;
const STORM = 3_412;
const LOADED = 3_000;
/** A gateway's message names many devices; its size is limited. */
const AT_ONCE = 500;

function send(fills) {
  const entries = Object.entries(fills);
  const lines = [];
  for (let from = 0; from < entries.length; from += AT_ONCE) {
    const values = entries.slice(from, from + AT_ONCE).map(([device, fill_pct]) => [device, [{ fill_pct }]]);
    lines.push(JSON.stringify(Object.fromEntries(values)));
  }
  execFileSync('mosquitto_pub', ['-h', '127.0.0.1', '-p', MQTT_PORT, '-q', '1', '-t', 'v1/gateway/telemetry', '-l'], { input: `${lines.join('\n')}\n` });
}
const bins = (from, to, fill) => Object.fromEntries(Array.from({ length: to - from }, (_, n) => [`bin-${from + n}`, fill]));
const number = (text) => Number(text?.replaceAll('\u202f', ''));
const tile = async (page, name) => number(await page.locator('.tile', { hasText: name }).locator('strong').textContent());
const part = (page) => page.locator('.part').textContent({ timeout: 100 }).then((text) => text.replaceAll('\u202f', ''), () => null);
const shot = async (page, name) => SHOTS && page.screenshot({ path: join(SHOTS, `${name}.png`) });
const open = async (page) => (await (await page.request.get(`${URL_BASE}/api/v1/alerts/counts`)).json()).total;

async function enter(page) {
  await page.request.post(`${URL_BASE}/api/v1/session`, { data: { username: 'test', password: PASSWORD } });
  await page.goto(URL_BASE);
}

const browser = await launch();
try {
  const { page, clean } = await watched(browser);
  await page.request.post(`${URL_BASE}/api/v1/session`, { data: { username: 'test', password: PASSWORD } });
  send({ 'bin-0': 99 });
  await until('the first alert', async () => (await open(page)) === 1);
  send(bins(1, STORM, 92));
  await until('the storm', async () => (await open(page)) === STORM);

  await enter(page);
  await until('as many as are loaded', async () => (await part(page)) === `${LOADED} of ${STORM}`);
  assert.match(await page.locator('.row').first().textContent(), /bin-0 /, 'the oldest is the only critical one');
  assert.deepEqual([await tile(page, 'Critical'), await tile(page, 'Major'), await tile(page, 'Waiting')], [1, STORM - 1, STORM]);
  await shot(page, 'storm-desk-en');
  await page.getByPlaceholder('Search place, device or alert').fill('bin-170');
  await page.getByText(/Looked for among/).waitFor();
  await shot(page, 'storm-desk-en-filtered');
  await page.getByPlaceholder('Search place, device or alert').fill('');

  const phone = await watched(browser, { viewport: SIZES.phone, locale: 'zh-CN', colorScheme: 'dark' });
  await enter(phone.page);
  await until('the same in Chinese', async () => (await part(phone.page)) === `${LOADED} / 共 ${STORM} 条`);
  await shot(phone.page, 'storm-phone-zh');
  assert.deepEqual(await violations(phone.page, 'a board that is cut'), []);

  // What is loaded is cleared: the counts follow, the next ones come, and in the end all are here.
  send(bins(1, 151, 5));
  await until('the count follows', async () => (await tile(page, 'Major')) === STORM - 151);
  await until('the next ones are loaded', async () => (await part(page)) === `${LOADED} of ${STORM - 150}`);
  send(bins(151, 601, 5));
  await until('all are here', async () => (await part(page)) === null && (await tile(page, 'Major')) === STORM - 601);
  send({ 'bin-1': 99.5 });
  await until('a new critical one is counted', async () => (await tile(page, 'Critical')) === 2);
  assert.match(await page.locator('.row').nth(1).textContent(), /bin-1 /);
  await until('the same on the phone', async () => (await part(phone.page)) === null);
  clean();
  phone.clean();
  console.log('the storm is weathered');
} finally {
  await browser.close();
}
