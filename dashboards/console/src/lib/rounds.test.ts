import { describe, expect, it } from 'vitest';
import type { Plan, RoundStop } from './api/client';
import { geoLink, kilometres, overBound, progress, waysOf } from './rounds';

describe('a round', () => {
  it('leads from the depot over the stops of each trip and back', () => {
    const stop = (lon: number, trip: number) => ({ lat: 30, lon, trip });
    expect(waysOf([stop(1, 0), stop(2, 0), stop(3, 1)], [0, 30])).toEqual([
      [[0, 30], [1, 30], [2, 30], [0, 30]],
      [[0, 30], [3, 30], [0, 30]],
    ]);
    expect(waysOf([{ lat: null, lon: null, trip: 0 }], null)).toEqual([]);
  });

  it('is done when no stop is open', () => {
    const stops = ['done', 'open', 'skipped'].map((state) => ({ state }) as RoundStop);
    expect(progress(stops)).toEqual({ done: 2, all: 3 });
  });

  it('says how far from the bound it is, and nothing for an order made by hand', () => {
    expect(overBound({ length_m: 1100, bound_m: 1000 } as Plan)).toBeCloseTo(10);
    expect(overBound({ length_m: 1100, bound_m: null } as Plan)).toBeNull();
  });

  it('speaks in kilometres and in addresses that navigations know', () => {
    expect([kilometres(1234), kilometres(45_678)]).toEqual(['1.2', '46']);
    expect(geoLink(30.1, 119.2, 'Bin 1')).toBe('geo:30.1,119.2?q=30.1,119.2(Bin%201)');
  });
});
