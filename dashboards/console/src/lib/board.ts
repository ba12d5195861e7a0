import type { Alert } from './api/client';
import { rank } from './severity';

export interface BoardFilter {
  severity: string;
  kind: string;
  zone: string;
  text: string;
}

/** The most urgent first; of equals the one that waits for someone, then the older one. */
export function byUrgency(a: Alert, b: Alert): number {
  return (
    rank(a.severity) - rank(b.severity) ||
    Number(a.handling !== 'new') - Number(b.handling !== 'new') ||
    Date.parse(a.raised_at) - Date.parse(b.raised_at)
  );
}

export function fits(alert: Alert, filter: BoardFilter, zoneName: string): boolean {
  const { severity, kind, zone, text } = filter;
  if (severity && alert.severity !== severity) return false;
  if (kind && alert.device.kind !== kind) return false;
  if (zone && alert.device.zone !== zone) return false;
  if (!text) return true;
  const haystack = [alert.title.en, alert.title.zh, alert.device.id, alert.device.name, zoneName].join('\n').toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => haystack.includes(word));
}

/** Milliseconds until somebody must have acknowledged it; negative when that is past; null without a clock. */
export function timeLeft(alert: Alert, now: number): number | null {
  if (!alert.acknowledge_by || alert.acknowledged_at || alert.handling !== 'new') return null;
  return Date.parse(alert.acknowledge_by) - now;
}
