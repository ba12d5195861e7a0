import { describe, expect, it } from 'vitest';
import { monthOf, monthsBefore, spanOf, startOfMonth } from './month';

const iso = (at: number) => new Date(at).toISOString();

describe('months of the site', () => {
  it('begin at the site’s midnight, also where clocks change', () => {
    expect(iso(startOfMonth(2026, 3, 'Asia/Shanghai'))).toBe('2026-02-28T16:00:00.000Z');
    expect(iso(startOfMonth(2026, 4, 'Europe/Berlin'))).toBe('2026-03-31T22:00:00.000Z');
    expect(iso(startOfMonth(2026, 11, 'Europe/Berlin'))).toBe('2026-10-31T23:00:00.000Z');
    expect(iso(startOfMonth(2026, 13, 'UTC'))).toBe('2027-01-01T00:00:00.000Z');
  });

  it('are those in which the site is', () => {
    expect(monthOf(Date.parse('2026-02-28T17:00:00Z'), 'Asia/Shanghai')).toBe('2026-03');
    expect(monthsBefore('2026-02', 3)).toEqual(['2026-02', '2026-01', '2025-12']);
  });

  it('end now when they are not over', () => {
    const now = Date.parse('2026-03-10T00:00:00Z');
    expect(iso(spanOf('2026-03', 'UTC', now).to)).toBe(iso(now));
    expect(iso(spanOf('2026-02', 'UTC', now).to)).toBe('2026-03-01T00:00:00.000Z');
  });
});
