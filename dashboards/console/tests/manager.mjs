// A manager's and an admin's main path: a table of devices with its faults before it is entered, a zone drawn on the map, a rule
// changed in words and tried before it is saved, a person entered, what was changed in the log; figures with the alerts behind them.
import assert from 'node:assert/strict';
import { launch, publish, signIn, until, URL_BASE, watched } from './lib.mjs';

const { EMBEDDED_PORT } = process.env;
const browser = await launch();
try {
  const { page, clean } = await watched(browser);
  publish(EMBEDDED_PORT, 'bin', 'discovered-1', { fill_pct: 91 });
  await signIn(page);

  // Devices: accept one that was heard, enter a table.
  await page.goto(`${URL_BASE}/setup/devices`);
  await page.getByRole('button', { name: 'Accept', exact: true }).click();
  await page.getByText('Every device that was heard is entered.').waitFor();
  const table = (text) => page.locator('input[type=file]').setInputFiles({ name: 'town.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
  await table('id,kind,lat\nbin-1,bin,30.23\nbin-2,lamp,\n');
  await page.getByText(/Nothing can be entered yet: 2 fault/).waitFor();
  await page.getByRole('cell', { name: /lamp/ }).waitFor();
  await table('id,kind,lat,lon,volume_l\nbin-1,bin,30.231,119.65,660\nbin-2,bin,30.232,119.651,\n');
  await page.getByText('2 devices: 2 new, 0 get a new entry.').waitFor();
  await page.getByRole('button', { name: 'Enter 2 devices' }).click();
  await page.getByText('2 devices are entered.').waitFor();

  // A zone, drawn.
  await page.goto(`${URL_BASE}/setup/zones`);
  await page.getByPlaceholder('Id of a new zone').fill('harbour');
  await page.getByRole('button', { name: 'Add a zone' }).click();
  await page.getByLabel('Name in English').fill('Harbour');
  await page.getByLabel('Name in English').press('Tab');
  const map = page.locator('.maplibregl-canvas');
  await map.waitFor();
  for (const [x, y] of [[150, 120], [400, 120], [400, 300], [150, 300]]) {
    const drafted = page.waitForResponse((response) => response.url().includes('/setup/zones/draft'));
    await map.click({ position: { x, y } });
    await drafted;
  }
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('Saved and in force.').waitFor();
  const zones = await (await page.request.get(`${URL_BASE}/api/v1/zones`)).json();
  assert.equal(zones.length, 1);
  assert.equal(zones[0].name.en, 'Harbour');
  assert.equal(zones[0].outline.length, 5, 'four corners and the first again');

  // A rule: in words, tried, saved.
  await page.goto(`${URL_BASE}/setup/rules`);
  await page.getByRole('button', { name: /^Bin is full/ }).click();
  await page.getByText(/Minor when Fill level is 75.% or more/).waitFor();
  const raise = page.getByLabel('Raise at').first();
  await raise.fill('95');
  await raise.press('Tab');
  await page.getByText(/clears at/).or(page.getByText('Try the change first')).first().waitFor();
  await raise.fill('70');
  await raise.press('Tab');
  await page.getByText('Try the change first').waitFor();
  await page.getByRole('button', { name: 'Try', exact: true }).click();
  await page.getByText(/alerts instead of/).waitFor();
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('Saved and in force.').waitFor();
  const rules = await (await page.request.get(`${URL_BASE}/api/v1/rules`)).json();
  assert.ok(rules.rules.some((rule) => rule.levels.some((level) => level.raise === '>= 70')), 'the new level is in force');

  // A person.
  await page.goto(`${URL_BASE}/setup/users`);
  await page.getByLabel('Name', { exact: true }).fill('zhou');
  await page.getByRole('button', { name: 'Enter a person' }).click();
  await page.getByText('The password of zhou, shown once:').waitFor();
  // A device's secret and a program's token, each shown once.
  await page.goto(`${URL_BASE}/setup/access`);
  await page.getByLabel('Device or gateway').fill('bin-secret');
  await page.getByRole('button', { name: 'Make a secret' }).click();
  await page.getByText('The secret of bin-secret, shown once:').waitFor();
  await page.getByRole('cell', { name: 'bin-secret' }).waitFor();
  await page.goto(`${URL_BASE}/me`);
  await page.getByLabel('What for').fill('county feed');
  await page.getByRole('button', { name: 'Make a token' }).click();
  const token = await page.getByText(/^sanimon_/).textContent();
  const asProgram = { headers: { authorization: `Bearer ${token}`, cookie: '' } };
  assert.ok((await fetch(`${URL_BASE}/api/v1/devices`, asProgram)).ok, 'the token reads');
  page.once('dialog', (dialog) => dialog.accept());
  await page.getByRole('button', { name: 'Revoke' }).click();
  await until('the token is refused', async () => (await fetch(`${URL_BASE}/api/v1/devices`, asProgram)).status === 401);
  await page.goto(`${URL_BASE}/setup/audit`);
  for (const told of ['Saved rules', 'Saved zones', 'Entered a table of devices', 'Accepted a device', 'Entered or changed a person']) await page.getByText(told).first().waitFor();

  // Figures, and what is behind them.
  await page.goto(`${URL_BASE}/trends`);
  await page.getByText('Alerts', { exact: true }).last().waitFor();
  await page.locator('.figures a', { hasText: /^1$/ }).first().click();
  await page.locator('.row', { hasText: 'discovered-1' }).waitFor();
  await page.goto(`${URL_BASE}/report`);
  await page.getByRole('heading', { name: /^Sanitation in/ }).waitFor();
  await until('a workbook', async () => (await page.request.get(`${URL_BASE}/api/v1/measures?format=xlsx`)).ok());
  clean();
  console.log('the manager’s path holds');
} finally {
  await browser.close();
}
