/** What a crew has to do. */
import type { Alert, Me } from './api/client';
import { byUrgency } from './board';
import type { LonLat } from './map';
import { metresBetween } from './place.svelte';

/** Handlings in which somebody still has to go. */
const OPEN = new Set(['new', 'reopened', 'acknowledged', 'dispatched']);

/** Alerts that are mine or my teams', still to be done. */
export function jobsOf(alerts: Iterable<Alert>, me: Pick<Me, 'username' | 'teams'>, team: string): Alert[] {
  const mine = new Set(team ? [team] : [me.username, ...me.teams]);
  return [...alerts].filter((alert) => OPEN.has(alert.handling) && alert.assignee && mine.has(alert.assignee));
}

export function placeOf(alert: Alert): LonLat | null {
  const { lat, lon } = alert.device ?? {};
  return lat !== null && lat !== undefined && lon !== null && lon !== undefined ? [lon, lat] : null;
}

/** Critical ones first; then the nearest, or the most urgent when nobody knows where we are. */
export function inOrder(jobs: Alert[], at: LonLat | null): { alert: Alert; metres: number | null }[] {
  const far = (alert: Alert) => {
    const place = placeOf(alert);
    return at && place ? metresBetween(at, place) : null;
  };
  const listed = jobs.map((alert) => ({ alert, metres: far(alert) }));
  const isCritical = (alert: Alert) => Number(alert.severity !== 'critical');
  return listed.sort((a, b) => isCritical(a.alert) - isCritical(b.alert) || (a.metres ?? Infinity) - (b.metres ?? Infinity) || byUrgency(a.alert, b.alert));
}
