import { describe, expect, it } from 'vitest';
import { boundOf, levelOf, levelWords, tidy, type RuleEntry } from './rules';

const rule = (change: Partial<RuleEntry>): RuleEntry => ({ id: 'a', title: { en: 'A', zh: '甲' }, kind: 'bin', metric: 'fill_pct', ...change });

describe('a rule as a form', () => {
  it('reads and writes the bounds of its levels', () => {
    expect(boundOf('>= 75')).toEqual({ sign: '>=', value: 75 });
    expect(boundOf(' <= -10.5 ')).toEqual({ sign: '<=', value: -10.5 });
    expect(boundOf('75')).toBeNull();
    expect(levelOf('minor', '<=', 10, 15, '')).toEqual({ severity: 'minor', raise: '<= 10', clear: '> 15' });
    expect(levelOf('major', '>=', 90, 85, ' 10m ').for).toBe('10m');
  });

  it('says in plain words what it does', () => {
    const words = (change: Partial<RuleEntry>, raise: string, clear: string) => levelWords(rule(change), { severity: 'minor', raise, clear, for: '10m' });
    expect(words({}, '>= 75', '< 60')).toBe('Minor when Fill level is 75\u2009% or more, until it is below 60\u2009%; it must hold for 10m.');
    expect(words({ metric: 'battery_pct' }, '<= 20', '> 25')).toContain('is 20\u2009% or less, until it is above 25\u2009%');
    expect(words({ condition: 'silence' }, '>= 3', '< 1')).toContain('nothing was heard for 3 expected reports');
    expect(words({ condition: 'rate', metric: 'temperature_c', within: '10m' }, '>= 10', '< 5')).toContain('rose by 10 °C or more within 10m');
    expect(words({ condition: 'forecast' }, '<= 12', '> 18')).toContain('12 h');
  });

  it('writes no empty keys and no condition that is the usual one', () => {
    expect(tidy(rule({ condition: 'threshold', zones: [], gap: '', hours: undefined }))).toEqual(rule({}));
  });
});
