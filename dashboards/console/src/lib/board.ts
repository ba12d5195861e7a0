import type { Alert, AlertCounts } from './api/client';
import { rank, type Severity } from './severity';

export interface BoardFilter {
  severity: string;
  kind: string;
  zone: string;
  text: string;
  team: string;
}

const raised = new WeakMap<Alert, number>();
/** When it was raised; read once from its text, for lists are sorted with each frame. */
function raisedAt(alert: Alert): number {
  let at = raised.get(alert);
  if (at === undefined) raised.set(alert, (at = Date.parse(alert.raised_at)));
  return at;
}

/** The most urgent first; of equals the one that waits for someone, then the older one. */
export function byUrgency(a: Alert, b: Alert): number {
  return (
    rank(a.severity) - rank(b.severity) ||
    Number(a.handling !== 'new') - Number(b.handling !== 'new') ||
    raisedAt(a) - raisedAt(b)
  );
}

export function fits(alert: Alert, filter: BoardFilter, zoneName: () => string): boolean {
  const { severity, kind, zone, text, team } = filter;
  if (severity && alert.severity !== severity) return false;
  if (kind && alert.device?.kind !== kind) return false;
  if (zone && alert.zone !== zone) return false;
  if (team && alert.assignee !== team) return false;
  if (!text) return true;
  const haystack = [alert.title.en, alert.title.zh, about(alert), alert.device?.name ?? '', alert.assignee ?? '', zoneName()].join('\n').toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => haystack.includes(word));
}

/** Opened by a resident: no sensor and no value stands behind it. */
export function isReport(alert: Alert): boolean {
  return alert.rule === 'resident_report';
}

/** The id of what it is about: a device, a zone or a gateway. */
export function about(alert: Alert): string {
  return alert.device?.id ?? alert.group?.id ?? '';
}

/** What somebody has promised next, and until when; null without a clock. */
export function promise(alert: Alert): { what: 'acknowledge' | 'arrive' | 'resolve'; by: number } | null {
  if (alert.condition === 'cleared') return null;
  const waits = alert.handling === 'new' || alert.handling === 'reopened';
  const underWay = alert.handling === 'acknowledged' || alert.handling === 'dispatched';
  if (waits && alert.acknowledge_by) return { what: 'acknowledge', by: Date.parse(alert.acknowledge_by) };
  if (!waits && !underWay) return null;
  if (!alert.arrived_at && alert.arrive_by) return { what: 'arrive', by: Date.parse(alert.arrive_by) };
  return alert.resolve_by ? { what: 'resolve', by: Date.parse(alert.resolve_by) } : null;
}

/** Milliseconds until the next promise is due; negative when that is past; null without a clock. */
export function timeLeft(alert: Alert, now: number): number | null {
  const next = promise(alert);
  return next ? next.by - now : null;
}

/** How many these are, as the server counts them. What is overdue changes with the clock and is not among it. */
export function countsOf(alerts: Iterable<Alert>): Omit<AlertCounts, 'overdue'> {
  const counts = { total: 0, by_severity: { critical: 0, major: 0, minor: 0, warning: 0 }, unacknowledged: 0 };
  for (const alert of alerts) {
    counts.total += 1;
    counts.by_severity[alert.severity as Severity] += 1;
    if (alert.handling === 'new') counts.unacknowledged += 1;
  }
  return counts;
}

/** The filters that the address holds: the board and the map read the same. */
export function filterOf(query: URLSearchParams): BoardFilter {
  const value = (name: string) => query.get(name) ?? '';
  return { severity: value('severity'), kind: value('kind'), zone: value('zone'), team: value('team'), text: value('q') };
}

/** Does a step for several alerts, some at a time; gives how many it did and what was wrong with the others. */
export async function each<T>(items: T[], step: (item: T) => Promise<unknown>): Promise<{ done: number; failures: string[] }> {
  const AT_ONCE = 6;
  const waiting = [...items];
  let done = 0;
  const failures: string[] = [];
  const work = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      try {
        await step(item);
        done += 1;
      } catch (error) {
        failures.push((error as Error).message);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { done, failures };
}
