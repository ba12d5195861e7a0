/** The managers' measures as the page shows them: in words, and whether a change is for the better. */
import type { MeasureAnswer, MeasuredGroup } from './api/client';
import { duration } from './time.svelte';
import { plain } from './values';

/** Spans in days. */
export const SPANS: Record<string, number> = { '7d': 7, '30d': 30, '90d': 90 };

export type Goal = MeasureAnswer['goals'][number];

export interface Figure {
  name: string;
  text: string;
  /** Null: nothing to compare with, or no change worth a word. */
  change: { up: boolean; good: boolean; before: string } | null;
  /** There is a time before to compare with. */
  comparable: boolean;
  /** What the site wants, and whether it is so. */
  goal: { text: string; met: boolean } | null;
  /** Which alerts are behind it, as the board's filters; null: none. */
  behind: Record<string, string> | null;
}

type Numbers = MeasuredGroup['now'];
interface Kind {
  name: string;
  value: (numbers: Numbers) => number | null | undefined;
  text: (value: number) => string;
  /** More of it is better. */
  moreIsBetter: boolean;
  /** The goal's name, the value in its unit, and how that is told. */
  goal?: [measure: string, value: (numbers: Numbers) => number | null | undefined, text: (goal: number) => string];
  behind?: Record<string, string>;
}

const percent = (value: number) => `${plain(Math.round(value * 1000) / 10)}\u2009%`;
const percentOf = (goal: number) => `${plain(goal)}\u2009%`;
const minutes = (value: number) => duration(value * 60_000);
const times100 = (value: number | null | undefined) => (value === null || value === undefined ? null : value * 100);

const KINDS: Kind[] = [
  {
    name: 'overflow',
    value: (n) => n.overflow_h,
    text: (v) => `${plain(Math.round(v))} h`,
    moreIsBetter: false,
    goal: ['overflow_pct', (n) => times100(n.overflow_share), percentOf],
    behind: { kind: 'bin', metric: 'fill_pct', severity: 'critical' },
  },
  { name: 'acknowledge', value: (n) => n.acknowledge?.median_min, text: minutes, moreIsBetter: false, goal: ['acknowledge_min', (n) => n.acknowledge?.median_min, minutes], behind: {} },
  { name: 'arrive', value: (n) => n.arrive?.median_min, text: minutes, moreIsBetter: false, goal: ['arrive_min', (n) => n.arrive?.median_min, minutes], behind: {} },
  { name: 'resolve', value: (n) => n.resolve?.median_min, text: minutes, moreIsBetter: false, goal: ['resolve_min', (n) => n.resolve?.median_min, minutes], behind: {} },
  { name: 'deadlines', value: (n) => n.deadlines_kept, text: percent, moreIsBetter: true, goal: ['deadlines_kept_pct', (n) => times100(n.deadlines_kept), percentOf], behind: {} },
  { name: 'odour', value: (n) => n.odour_kept, text: percent, moreIsBetter: true, goal: ['odour_kept_pct', (n) => times100(n.odour_kept), percentOf], behind: { kind: 'toilet', metric: 'nh3_ppm,h2s_ppm' } },
  { name: 'flood', value: (n) => n.flood_min, text: minutes, moreIsBetter: false, behind: { kind: 'drain', metric: 'level_pct,flooded', severity: 'critical' } },
  { name: 'wasted', value: (n) => n.wasted, text: percent, moreIsBetter: false, goal: ['wasted_pct', (n) => times100(n.wasted), percentOf] },
  { name: 'available', value: (n) => n.available, text: percent, moreIsBetter: true, goal: ['available_pct', (n) => times100(n.available), percentOf], behind: { metric: 'silence_min' } },
  { name: 'alerts', value: (n) => n.alerts, text: (v) => plain(v), moreIsBetter: false, behind: {} },
  { name: 'reopened', value: (n) => n.reopened, text: percent, moreIsBetter: false, goal: ['reopened_pct', (n) => times100(n.reopened), percentOf] },
  { name: 'reports', value: (n) => n.reports, text: (v) => plain(v), moreIsBetter: false, behind: { rule: 'resident_report' } },
  { name: 'reports_per_1000', value: (n) => n.reports_per_1000, text: (v) => plain(v), moreIsBetter: false },
];

/** A change smaller than this share is none. */
const NOISE = 0.02;

/** What there is to say of a group; what could not be measured is left out. */
export function figures(group: Pick<MeasuredGroup, 'now' | 'before'>, goals: Goal[] = []): Figure[] {
  return KINDS.flatMap(({ name, value, text, moreIsBetter, goal, behind }) => {
    const [now, before] = [value(group.now), group.before ? value(group.before) : null];
    if (now === null || now === undefined) return [];
    const known = before !== null && before !== undefined;
    const changed = known && Math.abs(now - before) > NOISE * Math.max(Math.abs(now), Math.abs(before));
    const up = known && now > before;
    const change = changed ? { up, good: up === moreIsBetter, before: text(before) } : null;
    const wanted = goal && goals.find((known) => known.measure === goal[0]);
    const reached = goal?.[1](group.now);
    const isMet = wanted && reached !== null && reached !== undefined && (wanted.at_least ? reached >= wanted.value : reached <= wanted.value);
    const aim = goal && wanted ? { text: `${wanted.at_least ? '≥' : '≤'} ${goal[2](wanted.value)}`, met: Boolean(isMet) } : null;
    return [{ name, text: text(now), change, comparable: known, goal: aim, behind: behind ?? null }];
  });
}

/** The board's address with the alerts behind a figure. */
export function behindLink(behind: Record<string, string>, span: { from: string; to: string }, group: Record<string, string> = {}): string {
  return `/?${new URLSearchParams({ condition: 'cleared', ...behind, ...group, from: span.from, to: span.to })}`;
}

/** The colour of a score. */
export function scoreState(score: number | null | undefined): 'ok' | 'minor' | 'major' | 'critical' {
  if (score === null || score === undefined || score >= 90) return 'ok';
  if (score >= 75) return 'minor';
  return score >= 60 ? 'major' : 'critical';
}
