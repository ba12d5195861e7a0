/** The life of an alert as the page shows it; what is allowed is the server's word (`steps` of an alert). */
import type { Step } from './api/client';

/** The step that leads on from here: the one that stands out. */
export const PRIMARY: Record<string, Step> = {
  new: 'acknowledge',
  reopened: 'acknowledge',
  acknowledged: 'dispatch',
  dispatched: 'handle',
  handled: 'verify',
};

const ORDER: Step[] = ['acknowledge', 'dispatch', 'arrive', 'handle', 'verify', 'reopen', 'dismiss'];

/** The steps as buttons, in the order of a case's life; a remark has a field of its own. */
export function shownSteps(steps: string[], handling: string): Step[] {
  const known = ORDER.filter((step) => steps.includes(step));
  const first = PRIMARY[handling];
  return first ? [...known.filter((step) => step === first), ...known.filter((step) => step !== first)] : known;
}

/** What the server asks for with a step. */
export function needs(step: Step, handling: string): { note: boolean; assignee: boolean } {
  const isHandingOver = step === 'dispatch' && handling === 'dispatched';
  return { note: isHandingOver || step === 'reopen' || step === 'dismiss', assignee: step === 'dispatch' };
}

/** Who may take it: this role or a higher one. */
export function roleFor(step: Step, handling: string): string {
  const isHandingOver = step === 'dispatch' && handling === 'dispatched';
  return step === 'acknowledge' || step === 'arrive' || step === 'handle' || isHandingOver ? 'crew' : 'dispatcher';
}
