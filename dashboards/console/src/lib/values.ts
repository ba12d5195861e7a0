import { t } from './i18n/index.svelte';
import { duration } from './time.svelte';

/** What the rules measure of a device themselves: how long nothing was heard of it. No telemetry stands behind it. */
export const SILENCE = 'silence_min';

const FLAGS = new Set(['lid_open', 'fire', 'cover_open', 'flooded', 'occupied', 'leak', 'call_button']);
const UNITS: Record<string, string> = {
  pct: '%',
  mm: 'mm',
  c: '°C',
  deg: '°',
  kg: 'kg',
  m3h: 'm³/h',
  mps: 'm/s',
  ppm: 'ppm',
  ppb: 'ppb',
  ntu: 'NTU',
  ugm3: 'µg/m³',
  v: 'V',
  dbm: 'dBm',
  db: 'dB',
};

/** What stands behind the number; metrics carry their unit in their name. */
export function unitOf(metric: string): string {
  if (metric === 'ch4_lel_pct') return '% LEL';
  return UNITS[metric.split('_').at(-1) ?? ''] ?? '';
}

export function isFlag(metric: string): boolean {
  return FLAGS.has(metric);
}

/** A number with as many digits as help, and no unit. */
export function plain(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits }).replaceAll(',', '\u202f');
}

/** A value as people read it; nothing where there is none to tell. */
export function shown(metric: string, value: number | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (metric === SILENCE) return duration(value * 60_000);
  if (metric === 'full_in_h') return duration(value * 3_600_000);
  if (isFlag(metric)) return value ? t('yes') : t('no');
  const unit = unitOf(metric);
  return unit === '%' || unit === '°' ? `${plain(value)}${unit === '°' ? '' : '\u2009'}${unit}` : `${plain(value)} ${unit}`.trim();
}

/** The metric that says most about a device of this kind. */
export function mainMetric(kind: string, available: string[]): string | undefined {
  const wanted: Record<string, string[]> = {
    bin: ['fill_pct', 'distance_mm', 'temperature_c'],
    drain: ['level_pct', 'level_mm', 'distance_mm', 'ch4_lel_pct'],
    toilet: ['nh3_ppm', 'occupancy_count', 'h2s_ppm', 'visitors_total'],
  };
  return wanted[kind]?.find((metric) => available.includes(metric)) ?? available[0];
}
