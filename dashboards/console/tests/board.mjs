// A dispatcher's main path, in a real browser against a real sanimon: sign in, an empty board, an alert from each broker appears
// without reloading; one is acknowledged by hand, one is sent by keyboard, several are done at once; the list holds still under
// the pointer; a lost connection is told and heals; the map and a device page draw.
import assert from 'node:assert/strict';
import { launch, publish, signIn, URL_BASE, watched, PASSWORD, until } from './lib.mjs';

const { EMBEDDED_PORT, MOSQUITTO_PORT } = process.env;
const bin = (device, fill) => publish(EMBEDDED_PORT, 'bin', device, { fill_pct: fill });
const browser = await launch();
try {
  const { context, page, clean } = await watched(browser);
  await page.goto(URL_BASE);
  await page.getByLabel('Name').fill('test');
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Unknown name or wrong password.').waitFor();
  await signIn(page, 'test', PASSWORD);
  await page.getByText('All is well').waitFor();

  bin('from-embedded', 91);
  await page.locator('.row', { hasText: 'from-embedded' }).waitFor();
  // The client's subscription may be made only after the connection: publish until it is heard.
  const heard = page.locator('.row', { hasText: 'from-mosquitto' });
  for (let tries = 0; tries < 20 && (await heard.count()) === 0; tries++) {
    publish(MOSQUITTO_PORT, 'bin', 'from-mosquitto', { fill_pct: 99 });
    await heard.waitFor({ timeout: 1000 }).catch(() => undefined);
  }
  assert.equal(await heard.count(), 1, 'one alert, however often it was published');

  // By keyboard: the first is the most urgent one.
  await page.keyboard.press('j');
  await page.getByRole('heading', { name: 'Bin is full' }).waitFor();
  await page.keyboard.press('a');
  await page.getByText('Acknowledged by test').waitFor();
  await page.keyboard.press('d');
  await page.getByLabel('To whom? A team or a person').fill('dispatch');
  await page.keyboard.press('Enter');
  await page.getByText('test sent Dispatch').waitFor();
  await page.keyboard.press('?');
  await page.getByRole('heading', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');

  // Nothing jumps under the pointer: what is new waits until the list is let go.
  const list = page.locator('.list');
  await list.hover();
  await page.mouse.move(300, 500, { steps: 3 });
  bin('jumper', 99.5);
  await page.getByText('1 new').waitFor();
  assert.equal(await page.locator('.row', { hasText: 'jumper' }).count(), 0);
  await page.mouse.move(5, 5, { steps: 3 });
  await page.locator('.row', { hasText: 'jumper' }).waitFor();

  // Several at once.
  ['many-1', 'many-2', 'many-3'].forEach((device) => bin(device, 92));
  await page.locator('.row', { hasText: 'many-3' }).waitFor();
  await page.getByPlaceholder('Search place, device or alert').fill('many-');
  for (const device of ['many-1', 'many-2', 'many-3']) await page.getByLabel(`Mark: Bin is full, ${device}`).check();
  await page.getByRole('region', { name: 'Several at once' }).getByRole('button', { name: 'Acknowledge (3)' }).click();
  await until('three are acknowledged', async () => {
    const response = await page.request.get(`${URL_BASE}/api/v1/alerts?condition=active&handling=acknowledged`);
    return (await response.json()).items.filter((alert) => alert.device.id.startsWith('many-')).length === 3;
  });
  assert.match(page.url(), /q=many-/, 'filters are in the address');
  await page.getByPlaceholder('Search place, device or alert').fill('');

  // A lost connection is impossible to miss, and heals itself.
  await context.setOffline(true);
  await page.getByText(/Connection lost/).waitFor({ timeout: 40_000 });
  assert.match(await page.title(), /^⚠/);
  await context.setOffline(false);
  await page.getByText(/Connection lost/).waitFor({ state: 'detached', timeout: 40_000 });
  bin('after-the-cut', 95);
  await page.locator('.row', { hasText: 'after-the-cut' }).waitFor();

  await page.locator('.row', { hasText: 'from-embedded' }).click();
  await page.getByRole('link', { name: 'Open the device' }).click();
  await page.getByText('This device was heard but never entered.').waitFor();
  await page.locator('.chart canvas').first().waitFor();
  await page.getByRole('link', { name: 'Map' }).first().click();
  await page.locator('.maplibregl-canvas').waitFor();

  await page.getByTitle('Language').click();
  await page.getByRole('link', { name: '地图' }).waitFor();
  clean();
  console.log('the dispatcher’s path holds');
} finally {
  await browser.close();
}
