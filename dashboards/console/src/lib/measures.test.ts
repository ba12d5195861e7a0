import { describe, expect, it, vi } from 'vitest';
import type { MeasuredGroup } from './api/client';
import { figures, scoreState } from './measures';

// The page's language and clock need a browser; what is tested here does not.
vi.mock('./time.svelte', () => ({ duration: (ms: number) => `${ms / 60_000} min` }));
vi.mock('./values', () => ({ plain: String }));

const nothing: MeasuredGroup['now'] = {
  alerts: 0,
  overflow_h: null,
  flood_min: null,
  odour_kept: null,
  available: null,
  acknowledge: null,
  arrive: null,
  resolve: null,
  deadlines_kept: null,
  reopened: null,
  reports: 0,
};
const one = (now: Partial<MeasuredGroup['now']>, before: Partial<MeasuredGroup['now']>, name: string) =>
  figures({ now: { ...nothing, ...now }, before: { ...nothing, ...before } }).find((figure) => figure.name === name);

describe('measures', () => {
  it('say whether a change is for the better', () => {
    expect(one({ overflow_h: 10 }, { overflow_h: 20 }, 'overflow')?.change).toEqual({ up: false, good: true, before: '20 h' });
    expect(one({ deadlines_kept: 0.8 }, { deadlines_kept: 0.9 }, 'deadlines')?.change?.good).toBe(false);
    expect(one({ deadlines_kept: 0.9 }, { deadlines_kept: 0.901 }, 'deadlines')?.change).toBeNull();
  });

  it('leave out what could not be measured, and compare with nothing when there was nothing', () => {
    expect(one({}, {}, 'flood')).toBeUndefined();
    expect(one({ flood_min: 5 }, {}, 'flood')?.change).toBeNull();
  });

  it('have a colour by their score', () => {
    expect([95, 80, 65, 10, null].map(scoreState)).toEqual(['ok', 'minor', 'major', 'critical', 'ok']);
  });
});
