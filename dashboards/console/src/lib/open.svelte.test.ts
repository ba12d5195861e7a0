import { flushSync } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Alert } from './api/client';
import { LOADED_MAX, OpenAlerts } from './open.svelte';
import { rank } from './severity';
import { plain } from './values';

const START = Date.parse('2026-03-01T00:00:00Z');
/** Raised one a minute; the first is critical. */
function alert(id: number, change: Partial<Alert> = {}): Alert {
  const severity = id === 1 ? 'critical' : id % 2 ? 'major' : 'warning';
  return { id, severity, condition: 'active', handling: 'new', raised_at: new Date(START + id * 60_000).toISOString(), device: { id: `bin-${id}`, kind: 'bin' }, ...change } as Alert;
}

/** Answers as the API does, of these alerts; notes what it was asked for. */
class Server {
  alerts: Alert[] = [];
  asked: string[] = [];
  isDown = false;
  /** Answers wait for this. */
  gate: Promise<void> = Promise.resolve();

  constructor(count: number) {
    this.alerts = Array.from({ length: count }, (_, index) => alert(index + 1));
  }

  fetch = async (address: string) => {
    const url = new URL(address, 'http://town');
    this.asked.push(url.pathname + url.search);
    const body = url.pathname.endsWith('/counts') ? this.counts() : this.page(url.searchParams);
    await this.gate;
    if (this.isDown) throw new TypeError('no network');
    return new Response(JSON.stringify(body), { status: 200 });
  };

  page(query: URLSearchParams) {
    expect(query.get('sort')).toBe('urgent');
    const device = query.get('device');
    const fitting = this.alerts
      .filter((a) => (!query.get('severity') || a.severity === query.get('severity')) && (!device || a.device?.id === device))
      .sort((a, b) => rank(a.severity) - rank(b.severity) || a.raised_at.localeCompare(b.raised_at));
    // A cursor names the last one that was given, as it stood then.
    const place = (a: Alert) => rank(a.severity) * 1e6 + a.id;
    const after = fitting.filter((a) => place(a) > Number(query.get('cursor') ?? -1));
    const items = after.slice(0, Number(query.get('limit')));
    const last = items.at(-1);
    return { items, next_cursor: after.length > items.length && last ? String(place(last)) : null, total: fitting.length, total_is_exact: true };
  }

  counts() {
    const of = (severity: string) => this.alerts.filter((a) => a.severity === severity).length;
    const by_severity = { critical: of('critical'), major: of('major'), minor: of('minor'), warning: of('warning') };
    return { total: this.alerts.length, by_severity, unacknowledged: this.alerts.filter((a) => a.handling === 'new').length, overdue: 7 };
  }

  clear(id: number): Alert {
    const cleared = { ...(this.alerts.find((a) => a.id === id) as Alert), condition: 'cleared' };
    this.alerts = this.alerts.filter((a) => a.id !== id);
    return cleared;
  }
}

let server: Server;
async function town(count: number): Promise<OpenAlerts> {
  server = new Server(count);
  vi.stubGlobal('fetch', server.fetch);
  const open = new OpenAlerts((work) => work());
  open.begin(server.page(new URLSearchParams({ sort: 'urgent', limit: '1000' })), server.counts());
  return open;
}
const pages = () => server.asked.filter((path) => path.startsWith('/api/v1/alerts?'));
const counted = () => server.asked.filter((path) => path.endsWith('/counts')).length;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the open alerts of a storm', () => {
  it('show the most urgent first and the server’s counts, before the rest is here', async () => {
    const open = await town(1_500);
    expect(open.rows.size).toBe(1_000);
    expect(open.rows.get(1)?.severity).toBe('critical');
    expect(open.part).toEqual({ here: plain(1_000), all: plain(1_500) });
    expect([open.counts.total, open.counts.by_severity.critical, open.counts.by_severity.warning, open.overdue]).toEqual([1_500, 1, 750, 7]);
  });

  it('are all here after the last page, each once, and then counted here', async () => {
    const open = await town(1_500);
    await open.fill();
    expect([...open.rows.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 1_500 }, (_, index) => index + 1));
    expect([open.isWhole, open.part]).toEqual([true, null]);
    open.put(alert(1_501, { severity: 'critical' }));
    open.put(server.clear(1_500));
    expect(open.counts).toEqual({ total: 1_500, by_severity: { critical: 2, major: 749, minor: 0, warning: 749 }, unacknowledged: 1_500 });
    expect(open.overdue, 'none has a clock').toBe(0);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(counted(), 'the server need not be asked').toBe(0);
  });

  it('are loaded up to a maximum, and say of how many', async () => {
    const open = await town(3_412);
    await open.fill();
    expect([open.rows.size, open.part]).toEqual([LOADED_MAX, { here: plain(3_000), all: plain(3_412) }]);
    const critical = [...open.rows.values()].filter((a) => a.severity !== 'warning').length;
    expect(critical, 'all that are more urgent than those left out').toBe(1_706);
    expect(pages().length).toBe(2);
  });

  it('bring in the next ones when enough of those here are cleared', async () => {
    const open = await town(3_412);
    await open.fill();
    server.asked = [];
    for (let id = 1; id < 100; id++) open.put(server.clear(id));
    open.refill();
    expect([open.rows.size, pages().length], 'one more would be one request for each').toEqual([2_901, 0]);
    open.put(server.clear(100));
    open.refill();
    await vi.waitFor(() => expect(open.rows.size).toBe(LOADED_MAX));
    expect(pages().length).toBe(1);
    expect(pages()[0]).toContain('limit=100&cursor=');
    for (let id = 101; id <= 512; id++) open.put(server.clear(id));
    open.refill();
    await vi.waitFor(() => expect(open.isWhole).toBe(true));
    expect([...open.rows.keys()].sort((a, b) => a - b)).toEqual(server.alerts.map(({ id }) => id));
  });

  it('are counted by the server after changes, but not at each of them', async () => {
    const open = await town(3_412);
    await open.fill();
    for (let id = 1; id <= 50; id++) open.put(server.clear(id));
    expect(counted()).toBe(0);
    await vi.advanceTimersByTimeAsync(2_000);
    expect([counted(), open.counts.total, open.counts.by_severity.critical]).toEqual([1, 3_362, 0]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(counted(), 'nothing changed since').toBe(1);
  });

  it('take no older count for a newer one', async () => {
    const open = await town(3_412);
    let release = () => {};
    server.gate = new Promise((resolve) => (release = resolve));
    const slow = open.count();
    server.gate = Promise.resolve();
    server.clear(1);
    await open.count();
    expect(open.counts.total).toBe(3_411);
    release();
    await slow;
    expect(open.counts.total).toBe(3_411);
  });

  it('drop a page that a load from the beginning has made void', async () => {
    const open = await town(1_500);
    let release = () => {};
    server.gate = new Promise((resolve) => (release = resolve));
    const filled = open.fill();
    for (let id = 1_001; id <= 1_500; id++) server.clear(id);
    open.begin(server.page(new URLSearchParams({ sort: 'urgent', limit: '1000' })), server.counts());
    release();
    await filled;
    expect([open.rows.size, open.isWhole]).toEqual([1_000, true]);
  });

  it('stay as they are when the next page does not come, and try again later', async () => {
    const open = await town(1_500);
    server.isDown = true;
    await open.fill();
    expect(open.part).toEqual({ here: plain(1_000), all: plain(1_500) });
    server.isDown = false;
    open.refill();
    await vi.waitFor(() => expect(open.isWhole).toBe(true));
  });

  it('bring those that are looked for, though they are not among the most urgent', async () => {
    const open = await town(3_412);
    await open.fill();
    expect(open.rows.has(3_412)).toBe(false);
    await open.also({ device: 'bin-3412' });
    expect(open.rows.has(3_412)).toBe(true);
    expect(open.fetched.map(({ id }) => id)).toEqual([3_412]);
    server.asked = [];
    await open.also({ severity: '', device: '' });
    expect(server.asked, 'nothing is looked for').toEqual([]);
  });

  it('know the worst of a device only as far as they are here', async () => {
    const open = await town(3_412);
    await open.fill();
    expect(['critical', 'major', 'warning', null].map((severity) => open.isWorst(severity))).toEqual([true, true, true, false]);
  });

  it('without anybody to count say how many the page knew of', async () => {
    const open = await town(1_500);
    open.begin(server.page(new URLSearchParams({ sort: 'urgent', limit: '1000' })), null);
    expect([open.counts.total, open.part?.all]).toEqual([1_500, plain(1_500)]);
  });

  it('tell those who show them', async () => {
    const open = await town(3_412);
    const seen: (string | undefined)[] = [];
    const end = $effect.root(() => {
      $effect(() => void seen.push(open.part?.here));
    });
    flushSync();
    await open.fill();
    flushSync();
    open.put(server.clear(2));
    flushSync();
    end();
    expect([seen[0], seen.at(-2), seen.at(-1)]).toEqual([plain(1_000), plain(3_000), plain(2_999)]);
  });
});
