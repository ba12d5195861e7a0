/** The four severities and "no alert": one order, one shape and one colour for the whole console. */
export const SEVERITIES = ['critical', 'major', 'minor', 'warning'] as const;
export type Severity = (typeof SEVERITIES)[number];
export type State = Severity | 'ok';

/** The more urgent, the smaller. */
export function rank(severity: string | null | undefined): number {
  const index = SEVERITIES.indexOf(severity as Severity);
  return index < 0 ? SEVERITIES.length : index;
}

/** What a device shows: its worst open alert. */
export function stateOf(worst: string | null | undefined): State {
  return rank(worst) < SEVERITIES.length ? (worst as Severity) : 'ok';
}

/** Shapes on a 16 by 16 grid: octagon, triangle, diamond, circle; a ring for no alert. */
export const SHAPES: Record<State, string> = {
  critical: 'M5.100 1h5.800L15 5.100v5.800L10.900 15H5.100L1 10.900V5.100z',
  major: 'M8 1.300 15.500 14.500H.500z',
  minor: 'M8 .700 15.300 8 8 15.300.700 8z',
  warning: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z',
  ok: 'M8 3.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9z',
};

/** The current value of a colour of `app.css`, for canvases. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
