import { describe, expect, it } from 'vitest';
import type { Alert } from './api/client';
import { inOrder, jobsOf } from './jobs';
import { distanceText, metresBetween } from './place.svelte';

function alert(id: number, change: Partial<Alert> & { lon?: number }): Alert {
  const { lon, ...rest } = change;
  return {
    id,
    handling: 'dispatched',
    severity: 'minor',
    assignee: 'collection',
    raised_at: '2026-03-01T00:00:00Z',
    device: { id: `b-${id}`, name: '', kind: 'bin', zone: null, lat: 30, lon: lon ?? null },
    ...rest,
  } as Alert;
}

describe('the jobs of a crew', () => {
  const me = { username: 'wang', teams: ['collection'] };

  it('are those of the person and of the person’s teams, until they are done', () => {
    const all = [alert(1, {}), alert(2, { assignee: 'wang' }), alert(3, { assignee: 'drains' }), alert(4, { handling: 'handled' })];
    expect(jobsOf(all, me, '').map(({ id }) => id)).toEqual([1, 2]);
    expect(jobsOf(all, me, 'drains').map(({ id }) => id)).toEqual([3]);
  });

  it('come nearest first, but what is critical before all', () => {
    const all = [alert(1, { lon: 119.3 }), alert(2, { lon: 119.1 }), alert(3, { lon: 119.9, severity: 'critical' }), alert(4, {})];
    expect(inOrder(all, [119.0, 30]).map(({ alert: { id } }) => id)).toEqual([3, 2, 1, 4]);
  });

  it('are as far as the crow flies', () => {
    expect(metresBetween([119, 30], [119, 31])).toBeCloseTo(111_195, -1);
    expect([distanceText(123), distanceText(1840)]).toEqual(['120 m', '1.8 km']);
  });
});
