import { describe, expect, it } from 'vitest';
import { SILENCE, shown } from './values';

describe('a value as people read it', () => {
  it('has its unit and as many digits as help', () => {
    expect(shown('fill_pct', 92.04)).toBe('92\u2009%');
    expect(shown('distance_mm', 1234.5)).toBe('1\u202f235 mm');
    expect(shown('occupancy_count', 0)).toBe('0');
  });

  it('is nothing where there is none to tell, whatever the metric', () => {
    for (const metric of ['fill_pct', SILENCE, 'full_in_h', 'lid_open', 'device_count']) {
      expect(shown(metric, null)).toBe('');
      expect(shown(metric, undefined)).toBe('');
    }
  });
});
