// A crew's main path, on a phone: its own jobs, one done with a note and a photo in a dead spot, sent when the network is back;
// a round of collection whose stops are ticked, one of them by its own sensor.
import assert from 'node:assert/strict';
import { launch, publish, signIn, SIZES, until, URL_BASE, watched } from './lib.mjs';

const { EMBEDDED_PORT, CREW_PASSWORD, ROUND } = process.env;
/** A PNG of one pixel. */
const PHOTO = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64');
const browser = await launch();
try {
  const options = { viewport: SIZES.phone, hasTouch: true, isMobile: true, geolocation: { longitude: 119.65, latitude: 30.23 }, permissions: ['geolocation'] };
  const { context, page, clean } = await watched(browser, options);
  await signIn(page, 'wang', CREW_PASSWORD);
  publish(EMBEDDED_PORT, 'bin', 'near', { fill_pct: 92 });
  await page.getByRole('link', { name: 'My jobs' }).click();
  const job = page.locator('article', { hasText: 'Bin is full' });
  await job.waitFor();
  assert.equal(await page.getByText('Set up').count(), 0, 'a crew sets nothing up');
  await page.getByText('60 m').waitFor();

  await context.setOffline(true);
  await job.getByRole('button', { name: 'On site' }).click();
  await job.getByRole('button', { name: 'It is done' }).click();
  await job.getByLabel('What did you do?').fill('emptied, lid repaired');
  await job.locator('input[type=file]').setInputFiles({ name: 'photo.png', mimeType: 'image/png', buffer: PHOTO });
  await job.locator('img').waitFor();
  await job.getByRole('button', { name: 'Done' }).click();
  await page.getByText(/No network: \d entries are kept/).waitFor();
  await job.waitFor({ state: 'detached' });

  // The phone forgets the page; the page begins again without a network, and nothing is lost.
  await page.reload();
  await page.getByText(/No network: \d entries are kept/).waitFor();

  await context.setOffline(false);
  await page.getByText(/No network/).waitFor({ state: 'detached', timeout: 40_000 });
  const alerts = await (await page.request.get(`${URL_BASE}/api/v1/alerts?device=near`)).json();
  const alert = await (await page.request.get(`${URL_BASE}/api/v1/alerts/${alerts.items[0].id}`)).json();
  assert.equal(alert.handling, 'handled');
  const done = alert.history.filter((step) => step.kind === 'handled');
  assert.deepEqual(done.map(({ who, note }) => [who, note]), [['wang', 'emptied, lid repaired']], 'once, with the note');
  const photos = await (await page.request.get(`${URL_BASE}/api/v1/alerts/${alert.id}/photos`)).json();
  assert.equal(photos.length, 1);

  // The round: one stop is ticked by hand, the other by its own sensor.
  await page.goto(`${URL_BASE}/rounds/${ROUND}`);
  await page.getByRole('heading', { name: /Round of/ }).waitFor();
  await page.getByText('0/2').waitFor();
  await page.getByRole('button', { name: 'Emptied', exact: true }).click();
  await page.getByText('1/2').waitFor();
  const round = await (await page.request.get(`${URL_BASE}/api/v1/rounds/${ROUND}`)).json();
  const left = round.stops.find((stop) => stop.state === 'open');
  publish(EMBEDDED_PORT, 'bin', left.device, { fill_pct: 2 });
  await page.getByText('All stops are done').waitFor({ timeout: 20_000 });
  await page.getByText('its sensor reads empty').waitFor();
  await until('the round says so, too', async () => (await (await page.request.get(`${URL_BASE}/api/v1/rounds/${ROUND}`)).json()).stops.every((stop) => stop.state === 'done'));
  clean();
  console.log('the crew’s path holds');
} finally {
  await browser.close();
}
