import { cleanup, render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Alert, Plan } from '../../lib/api/client';
import AlertRow from '../AlertRow.svelte';
import Bulk from '../Bulk.svelte';
import PlanStops from '../PlanStops.svelte';
import PlanSummary from '../PlanSummary.svelte';

afterEach(cleanup);

function alert(change: Partial<Alert> = {}): Alert {
  return {
    id: 7,
    title: { en: 'Bin is full', zh: '垃圾桶已满' },
    metric: 'fill_pct',
    value: 92,
    severity: 'major',
    condition: 'active',
    handling: 'new',
    raised_at: new Date(Date.now() - 600_000).toISOString(),
    acknowledge_by: new Date(Date.now() - 90_000).toISOString(),
    steps: ['acknowledge', 'dispatch', 'dismiss'],
    device: { id: 'bin-7', name: 'Bin 7', kind: 'bin', zone: null, lat: null, lon: null },
    ...change,
  } as Alert;
}

describe('a row of the board', () => {
  it('says what, where, how much and that it is late', () => {
    render(AlertRow, { alert: alert() });
    const row = screen.getByRole('button');
    expect(row.textContent).toContain('Bin is full');
    expect(row.textContent).toContain('bin-7');
    expect(row.textContent).toContain('92');
    expect(row.textContent).toContain('overdue by 1 min');
  });

  it('can be marked only where there is something to do with several', async () => {
    const onmark = vi.fn();
    const { rerender } = render(AlertRow, { alert: alert(), onmark });
    screen.getByRole('checkbox', { name: 'Mark: Bin is full, bin-7' }).click();
    expect(onmark).toHaveBeenCalledOnce();
    await rerender({ alert: alert(), onmark: undefined });
    expect(screen.queryByRole('checkbox')).toBeNull();
  });
});

describe('several alerts at once', () => {
  it('are acknowledged, those that can be, with what was seen', async () => {
    const sent: [string, unknown][] = [];
    vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
      sent.push([path, JSON.parse(String(init.body))]);
      return new Response('{}', { status: 200 });
    });
    const onclear = vi.fn();
    render(Bulk, { alerts: [alert(), alert({ id: 8 }), alert({ id: 9, handling: 'handled', steps: ['verify'] })], onclear });
    screen.getByRole('button', { name: 'Acknowledge (2)' }).click();
    await vi.waitFor(() => expect(onclear).toHaveBeenCalledOnce());
    expect(sent.map(([path]) => path).sort()).toEqual(['/api/v1/alerts/7/acknowledge', '/api/v1/alerts/8/acknowledge']);
    expect(sent[0]?.[1]).toEqual({ seen: 'new' });
    vi.unstubAllGlobals();
  });

  it('stay marked when one was refused, and the reason is told', async () => {
    vi.stubGlobal('fetch', async () => new Response('{"detail":"somebody was quicker"}', { status: 409 }));
    const onclear = vi.fn();
    render(Bulk, { alerts: [alert()], onclear });
    screen.getByRole('button', { name: 'Acknowledge (1)' }).click();
    await screen.findByText('0 done, 1 not: somebody was quicker');
    expect(onclear).not.toHaveBeenCalled();
    vi.unstubAllGlobals();
  });
});

describe('a planned round', () => {
  const stop = (device: string, trip = 0) => ({ device, name: '', zone: null, lat: 30, lon: 119, trip, at: '2026-03-01T06:00:00Z', fill_pct: 80, load_l: 190, overflow: 0 });
  const plan = {
    stops: [stop('a'), stop('b'), stop('c', 1)],
    others: [{ device: 'd', name: '', zone: null, lat: 30, lon: 119, fill_pct: 50, overflow: 0.1, left_out: true }],
    trips: 2,
    length_m: 11_000,
    bound_m: 10_000,
    load_l: 570,
    wasted: 0,
    expected_overflows: 0.2,
    ends_at: '2026-03-01T08:00:00Z',
    fixed: { stops: 40, trips: 3, length_m: 22_000, ends_at: '2026-03-01T12:00:00Z', wasted: 20, expected_overflows: 0.3 },
  } as unknown as Plan;

  it('is told beside the fixed round, with how far from a bound it is', () => {
    const { container } = render(PlanSummary, { plan });
    for (const told of ['11 km', 'instead of 22 km, 50 % less', '≤ 10.0 %', 'no order is below 10 km', 'the fixed round has 40']) expect(container.textContent).toContain(told);
  });

  it('is changed by hand: moved, left out, added', () => {
    const onorder = vi.fn();
    render(PlanStops, { plan, busy: false, onorder });
    screen.getByRole('button', { name: 'b earlier' }).click();
    screen.getByRole('button', { name: 'Leave a out' }).click();
    expect(onorder.mock.calls).toEqual([[['b', 'a', 'c']], [['b', 'c']]]);
    expect(screen.getByText('Back to the depot, to be emptied')).toBeTruthy();
  });
});
