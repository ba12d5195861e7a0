/** The managers' measures as the page shows them: in words, and whether a change is for the better. */
import type { MeasuredGroup } from './api/client';
import { duration } from './time.svelte';
import { plain } from './values';

/** Spans in days. */
export const SPANS: Record<string, number> = { '7d': 7, '30d': 30, '90d': 90 };

export interface Figure {
  name: string;
  text: string;
  /** Null: nothing to compare with, or no change worth a word. */
  change: { up: boolean; good: boolean; before: string } | null;
  /** There is a time before to compare with. */
  comparable: boolean;
}

type Numbers = MeasuredGroup['now'];
interface Kind {
  name: string;
  value: (numbers: Numbers) => number | null | undefined;
  text: (value: number) => string;
  /** More of it is better. */
  moreIsBetter: boolean;
}

const percent = (value: number) => `${plain(Math.round(value * 1000) / 10)}\u2009%`;
const minutes = (value: number) => duration(value * 60_000);

const KINDS: Kind[] = [
  { name: 'overflow', value: (n) => n.overflow_h, text: (v) => `${plain(Math.round(v))} h`, moreIsBetter: false },
  { name: 'acknowledge', value: (n) => n.acknowledge?.median_min, text: minutes, moreIsBetter: false },
  { name: 'resolve', value: (n) => n.resolve?.median_min, text: minutes, moreIsBetter: false },
  { name: 'deadlines', value: (n) => n.deadlines_kept, text: percent, moreIsBetter: true },
  { name: 'odour', value: (n) => n.odour_kept, text: percent, moreIsBetter: true },
  { name: 'flood', value: (n) => n.flood_min, text: minutes, moreIsBetter: false },
  { name: 'available', value: (n) => n.available, text: percent, moreIsBetter: true },
  { name: 'alerts', value: (n) => n.alerts, text: (v) => plain(v), moreIsBetter: false },
  { name: 'reopened', value: (n) => n.reopened, text: percent, moreIsBetter: false },
  { name: 'reports', value: (n) => n.reports, text: (v) => plain(v), moreIsBetter: false },
];

/** A change smaller than this share is none. */
const NOISE = 0.02;

/** What there is to say of a group; what could not be measured is left out. */
export function figures(group: Pick<MeasuredGroup, 'now' | 'before'>): Figure[] {
  return KINDS.flatMap(({ name, value, text, moreIsBetter }) => {
    const [now, before] = [value(group.now), group.before ? value(group.before) : null];
    if (now === null || now === undefined) return [];
    const known = before !== null && before !== undefined;
    const changed = known && Math.abs(now - before) > NOISE * Math.max(Math.abs(now), Math.abs(before));
    const up = known && now > before;
    const change = changed ? { up, good: up === moreIsBetter, before: text(before) } : null;
    return [{ name, text: text(now), change, comparable: known }];
  });
}

/** The colour of a score. */
export function scoreState(score: number | null | undefined): 'ok' | 'minor' | 'major' | 'critical' {
  if (score === null || score === undefined || score >= 90) return 'ok';
  if (score >= 75) return 'minor';
  return score >= 60 ? 'major' : 'critical';
}
