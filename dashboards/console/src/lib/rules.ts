/** Rules as forms: entries of rules.toml, and what they say in plain words. */
import { metricName, t, type Key } from './i18n/index.svelte';
import { shown } from './values';

export interface LevelEntry {
  severity: string;
  raise: string;
  clear: string;
  for?: string;
}
export interface RuleEntry extends Record<string, unknown> {
  id: string;
  title: { en: string; zh: string };
  kind?: string;
  metric?: string;
  condition?: string;
  group?: string;
  within?: string;
  until?: string;
  gap?: string;
  zones?: string[];
  zone_classes?: string[];
  tags?: string[];
  hours?: string[];
  days?: string[];
  level?: LevelEntry[];
  override?: unknown[];
}

export const CONDITIONS = ['threshold', 'rate', 'silence', 'stuck', 'forecast', 'count'] as const;

/** `>= 75` as its sign and number. */
export function boundOf(text: string): { sign: string; value: number } | null {
  const match = /^\s*(>=|<=|<|>)\s*(-?[\d.]+)\s*$/.exec(text);
  return match ? { sign: match[1] ?? '', value: Number(match[2]) } : null;
}

/** The sign that clears a level that is raised by this one. */
export const clearSign = (raiseSign: string) => (raiseSign === '<=' ? '>' : '<');

export function levelOf(severity: string, raises: string, raise: number | string, clear: number | string, wait: string): LevelEntry {
  return { severity, raise: `${raises} ${raise}`, clear: `${clearSign(raises)} ${clear}`, ...(wait.trim() ? { for: wait.trim() } : {}) };
}

/** The value of a level as people read it: a condition of time counts hours or intervals, not the metric. */
function valueText(rule: RuleEntry, value: number): string {
  if (rule.condition === 'silence') return t('rules.words.intervals', { count: value });
  if (rule.condition === 'stuck' || rule.condition === 'forecast') return t('rules.words.hours', { count: value });
  if (rule.condition === 'count') return t('rules.words.devices', { count: value });
  return shown(rule.metric ?? '', value);
}

/** What a level says, in plain words. */
export function levelWords(rule: RuleEntry, level: LevelEntry): string {
  const [raise, clear] = [boundOf(level.raise), boundOf(level.clear)];
  if (!raise || !clear) return '';
  const condition = rule.condition ?? 'threshold';
  const values = {
    severity: t(`severity.${level.severity}` as Key),
    metric: metricName(rule.metric ?? ''),
    value: valueText(rule, raise.value),
    clear: valueText(rule, clear.value),
    within: rule.within ?? '',
    until: rule.until ?? '100',
  };
  const direction = raise.sign === '<=' ? 'falls' : 'rises';
  const key = condition === 'threshold' || condition === 'rate' ? `rules.words.${condition}.${direction}` : `rules.words.${condition}`;
  const wait = level.for ? t('rules.words.for', { time: level.for }) : '';
  return `${t(key as Key, values)}${wait}`;
}

/** Leaves out what is empty: rules.toml has no empty keys. */
export function tidy(rule: RuleEntry): RuleEntry {
  const isEmpty = (value: unknown) => value === undefined || value === '' || value === null || (Array.isArray(value) && value.length === 0);
  const kept = Object.entries(rule).filter(([, value]) => !isEmpty(value));
  return Object.fromEntries(kept.filter(([key, value]) => !(key === 'condition' && value === 'threshold'))) as RuleEntry;
}
