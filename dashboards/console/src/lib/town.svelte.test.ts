import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Alert, Change, Device } from './api/client';
import { town } from './town.svelte';

/** The browser's connection to the live feed, with a test at the other end. */
class Feed extends EventTarget {
  static last: Feed;
  static CLOSED = 2;
  readyState = 1;
  onerror: (() => void) | null = null;
  constructor(readonly url: string) {
    super();
    Feed.last = this;
  }
  close() {}
  say(type: string, data: unknown = now) {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    this.dispatchEvent(new MessageEvent(type, { data: text, lastEventId: 'run-1' }));
  }
}

const now = '2026-03-01T08:00:00Z';
const alert = (id: number, change: Partial<Alert> = {}) =>
  ({ id, severity: 'minor', condition: 'active', handling: 'new', raised_at: now, device: { id: `bin-${id}`, kind: 'bin' }, ...change }) as Alert;
const change = (alerts: Alert[]): Change => ({ alerts, devices: [], readings: [], now });

/** What the server would answer now. */
let answers: { alerts: Alert[]; cursor: string | null; total: number; devices: Partial<Device>[] };
let asked: string[];
let loading: Promise<void>;

async function answer(address: string): Promise<Response> {
  const path = new URL(address, 'http://town').pathname;
  asked.push(path);
  const { alerts, cursor, total, devices } = structuredClone(answers);
  await loading;
  const counts = { total, by_severity: { critical: 0, major: 0, minor: total, warning: 0 }, unacknowledged: total, overdue: 3 };
  const bodies: Record<string, unknown> = {
    '/api/v1/site': { name: 'Town', time_zone: 'UTC', now, simulation_speed: null },
    '/api/v1/devices': { items: devices, next_cursor: null },
    '/api/v1/alerts': { items: alerts, next_cursor: address.includes('cursor=') ? null : cursor, total, total_is_exact: true },
    '/api/v1/alerts/counts': counts,
    '/readyz': {},
  };
  return new Response(JSON.stringify(bodies[path] ?? []), { status: 200 });
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'requestAnimationFrame', 'performance'] });
  answers = { alerts: [alert(1)], cursor: null, total: 1, devices: [{ id: 'bin-1', kind: 'bin', worst: 'minor', latest: {} }] };
  asked = [];
  loading = Promise.resolve();
  vi.stubGlobal('fetch', answer);
  vi.stubGlobal('EventSource', Feed);
});
afterEach(() => {
  town.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function started(): Promise<void> {
  const begun = town.start();
  Feed.last.say('hello');
  await begun;
}
const ids = () => [...town.alerts.keys()].sort((a, b) => a - b);

describe('the town', () => {
  it('listens before it loads, and misses nothing in between', async () => {
    let answered = () => {};
    loading = new Promise((resolve) => (answered = resolve));
    const raised: number[] = [];
    town.onraised = (alerts) => raised.push(...alerts.map(({ id }) => id));
    const begun = town.start();
    expect(asked, 'the feed first').toEqual([]);
    Feed.last.say('hello');
    await vi.waitFor(() => expect(asked).toContain('/api/v1/alerts'));
    // The answers are under way and do not know of this any more.
    Feed.last.say('change', change([alert(2), alert(1, { condition: 'cleared' })]));
    answered();
    await begun;
    await vi.advanceTimersByTimeAsync(100);
    expect([ids(), raised, town.devices.get('bin-1')?.worst]).toEqual([[2], [2], null]);
    expect(town.open.counts.total).toBe(1);
  });

  it('loads also when the feed says nothing', async () => {
    const begun = town.start();
    await vi.advanceTimersByTimeAsync(2_000);
    await begun;
    expect([town.loaded, ids()]).toEqual([true, [1]]);
  });

  it('is loaded anew after a reset, with its counts', async () => {
    await started();
    answers = { ...answers, alerts: [alert(5), alert(6)], total: 2 };
    Feed.last.say('reset');
    await vi.waitFor(() => expect(ids()).toEqual([5, 6]));
    expect(town.open.counts.total).toBe(2);
  });

  it('asks for the counts again with each connection, when not all alerts are here', async () => {
    answers = { ...answers, cursor: 'more', total: 9_000 };
    // The second page does not come.
    const begun = town.start();
    Feed.last.say('hello');
    loading = Promise.resolve();
    vi.stubGlobal('fetch', (address: string) => (address.includes('cursor=') ? Promise.reject(new TypeError('no network')) : answer(address)));
    await begun;
    await vi.advanceTimersByTimeAsync(0);
    expect([town.open.isWhole, town.open.counts.total]).toEqual([false, 9_000]);
    answers.total = 9_001;
    Feed.last.say('hello');
    await vi.waitFor(() => expect(town.open.counts.total).toBe(9_001));
  });

  it('tells of no alert that only came with a later page', async () => {
    const raised: number[] = [];
    town.onraised = (alerts) => raised.push(...alerts.map(({ id }) => id));
    answers = { ...answers, cursor: 'more', total: 2 };
    await started();
    await vi.waitFor(() => expect(town.open.isWhole).toBe(true));
    expect(raised).toEqual([]);
  });

  it('takes a device for well only when all of its alerts are known', async () => {
    answers = { ...answers, alerts: [alert(1, { severity: 'major' })], cursor: 'more', total: 9_000 };
    vi.stubGlobal('fetch', (address: string) => (address.includes('cursor=') ? Promise.reject(new TypeError('no network')) : answer(address)));
    await started();
    answers.devices = [{ id: 'bin-1', kind: 'bin', worst: 'warning', latest: {} }];
    Feed.last.say('change', change([alert(1, { condition: 'cleared' })]));
    await vi.advanceTimersByTimeAsync(100);
    expect(town.devices.get('bin-1')?.worst, 'until the server has said it').toBe('minor');
    await vi.advanceTimersByTimeAsync(15_000);
    await vi.waitFor(() => expect(town.devices.get('bin-1')?.worst).toBe('warning'));
  });
});
