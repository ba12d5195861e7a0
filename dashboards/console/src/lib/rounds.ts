/** Rounds as the page shows them. */
import type { Plan, Round, RoundStop } from './api/client';
import type { LonLat, RouteStop } from './map';

/** Kilometres with as many digits as help. */
export function kilometres(metres: number): string {
  return metres < 10_000 ? (metres / 1000).toFixed(1) : String(Math.round(metres / 1000));
}

interface Stop {
  lat?: number | null;
  lon?: number | null;
  trip: number;
}

/** The way of each trip: from the depot over its stops and back. */
export function waysOf(stops: Stop[], depot: number[] | null | undefined): LonLat[][] {
  const ways: LonLat[][] = [];
  for (const stop of stops) {
    if (stop.lat === null || stop.lat === undefined || stop.lon === null || stop.lon === undefined) continue;
    const way = (ways[stop.trip] ??= []);
    way.push([stop.lon, stop.lat]);
  }
  const home = depot ? [depot as LonLat] : [];
  return ways.filter(Boolean).map((way) => [...home, ...way, ...home]);
}

export function planStops(plan: Plan): RouteStop[] {
  const left = plan.others.filter((bin) => bin.left_out).map((bin) => ({ place: [bin.lon, bin.lat] as LonLat, label: '!', state: 'major' }));
  const stops = plan.stops.map((stop, index) => ({ place: [stop.lon, stop.lat] as LonLat, label: String(index + 1), state: 'accent' }));
  return [{ place: plan.depot as LonLat, label: '⌂', state: 'ink-2' }, ...left, ...stops];
}

const COLOURS: Record<string, string> = { open: 'accent', done: 'ink-3', skipped: 'major' };

export function roundStops(round: Round): RouteStop[] {
  const home = round.depot ? [{ place: round.depot as LonLat, label: '⌂', state: 'ink-2' }] : [];
  const stops = round.stops.flatMap((stop) =>
    stop.lat !== null && stop.lat !== undefined && stop.lon !== null && stop.lon !== undefined
      ? [{ place: [stop.lon, stop.lat] as LonLat, label: stop.state === 'done' ? '✓' : String(stop.n + 1), state: COLOURS[stop.state] ?? 'accent' }]
      : [],
  );
  return [...home, ...stops];
}

/** How far a round is: stops that need nobody any more, of all. */
export function progress(stops: RoundStop[]): { done: number; all: number } {
  return { done: stops.filter((stop) => stop.state !== 'open').length, all: stops.length };
}

/** By how much a plan is longer than any order could be, in percent; null: it was made by hand. */
export function overBound(plan: Plan): number | null {
  if (!plan.bound_m) return null;
  return Math.max(0, (plan.length_m / plan.bound_m - 1) * 100);
}

/** An address that a phone's navigation opens (RFC 5870). */
export function geoLink(lat: number, lon: number, label: string): string {
  return `geo:${lat},${lon}?q=${lat},${lon}(${encodeURIComponent(label)})`;
}
