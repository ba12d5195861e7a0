import { describe, expect, it } from 'vitest';
import type { Alert } from './api/client';
import { about, byUrgency, fits, promise, timeLeft, type BoardFilter } from './board';

const alert = (changes: Partial<Alert>): Alert => ({
  id: 1,
  device: { id: 'bin-1', name: 'Bin 1, East Market', kind: 'bin', zone: 'market', lat: null, lon: null },
  group: null,
  zone: 'market',
  rule: 'bin_fill',
  rules_version: 1,
  title: { en: 'Bin is full', zh: '垃圾桶已满' },
  metric: 'fill_pct',
  unit: '%',
  value: 91,
  severity: 'major',
  condition: 'active',
  handling: 'new',
  raised_at: '2026-03-01T08:00:00.000Z',
  changed_at: '2026-03-01T08:00:00.000Z',
  cleared_at: null,
  acknowledge_by: '2026-03-01T08:15:00.000Z',
  acknowledged_at: null,
  replaced_by: null,
  arrive_by: '2026-03-01T10:00:00.000Z',
  arrived_at: null,
  resolve_by: '2026-03-02T08:00:00.000Z',
  escalations: 0,
  escalated_to: null,
  assignee: null,
  handled_by: null,
  handled_at: null,
  closed_at: null,
  steps: ['acknowledge', 'comment'],
  ...changes,
});
const all: BoardFilter = { severity: '', kind: '', zone: '', text: '', team: '' };

describe('the order of the board', () => {
  it('puts the most urgent first, then what waits for someone, then the older', () => {
    const alerts = [
      alert({ id: 1, severity: 'minor' }),
      alert({ id: 2, severity: 'critical', handling: 'acknowledged' }),
      alert({ id: 3, severity: 'critical', raised_at: '2026-03-01T09:00:00.000Z' }),
      alert({ id: 4, severity: 'critical' }),
      alert({ id: 5, severity: 'warning' }),
    ];
    expect(alerts.sort(byUrgency).map((a) => a.id)).toEqual([4, 3, 2, 1, 5]);
  });
});

describe('the filters', () => {
  it('find every word in any case, in both languages, the place and the device', () => {
    for (const text of ['full', 'BIN market', '已满', 'bin-1', 'east']) {
      expect(fits(alert({}), { ...all, text }, () => 'East Market'), text).toBe(true);
    }
    expect(fits(alert({}), { ...all, text: 'full toilet' }, () => 'East Market')).toBe(false);
  });

  it('find a gateway by its name', () => {
    const gateway = alert({ device: null, group: { kind: 'gateway', id: 'gw-7' }, zone: null });
    expect(about(gateway)).toBe('gw-7');
    expect(fits(gateway, { ...all, text: 'gw-7' }, () => '')).toBe(true);
    expect(fits(gateway, { ...all, kind: 'bin' }, () => '')).toBe(false);
  });

  it('narrow by severity, kind and zone', () => {
    expect(fits(alert({}), { ...all, severity: 'major', kind: 'bin', zone: 'market' }, () => '')).toBe(true);
    expect(fits(alert({}), { ...all, severity: 'minor' }, () => '')).toBe(false);
    expect(fits(alert({}), { ...all, kind: 'drain' }, () => '')).toBe(false);
    expect(fits(alert({}), { ...all, zone: 'school' }, () => '')).toBe(false);
  });
});

describe('the clock of an alert', () => {
  const now = Date.parse('2026-03-01T08:20:00.000Z');
  it('counts down to its acknowledgement and past it', () => {
    expect(timeLeft(alert({}), now)).toBe(-300_000);
  });
  it('goes on to the arrival and to the end of the work', () => {
    const taken = { handling: 'acknowledged', acknowledged_at: '2026-03-01T08:10:00Z' };
    expect(promise(alert(taken))?.what).toBe('arrive');
    expect(timeLeft(alert({ ...taken, arrived_at: '2026-03-01T08:15:00Z' }), now)).toBe(85_200_000);
  });
  it('stops with the condition and the work, and does not run for warnings', () => {
    expect(timeLeft(alert({ condition: 'cleared' }), now)).toBeNull();
    expect(timeLeft(alert({ handling: 'handled' }), now)).toBeNull();
    expect(timeLeft(alert({ acknowledge_by: null, arrive_by: null, resolve_by: null }), now)).toBeNull();
  });
});
