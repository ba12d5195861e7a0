/** Months in the site's time zone. */

/** The offset of a zone at an instant, in milliseconds. */
function offset(at: number, zone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' }).formatToParts(new Date(at));
  const value = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  return Date.UTC(value('year'), value('month') - 1, value('day'), value('hour'), value('minute'), value('second')) - Math.floor(at / 1000) * 1000;
}

/** The first instant of a month (1 to 12; beyond, of other years). */
export function startOfMonth(year: number, month: number, zone: string): number {
  const local = Date.UTC(year, month - 1, 1);
  const near = local - offset(local, zone);
  return local - offset(near, zone);
}

/** The month of an instant, as `2026-11`. */
export function monthOf(at: number, zone: string): string {
  const shifted = new Date(at + offset(at, zone));
  return `${shifted.getUTCFullYear()}-${String(shifted.getUTCMonth() + 1).padStart(2, '0')}`;
}

/** A month and those before it, the newest first. */
export function monthsBefore(month: string, count: number): string[] {
  const [year = 1970, number = 1] = month.split('-').map(Number);
  return Array.from({ length: count }, (_, ago) => {
    const date = new Date(Date.UTC(year, number - 1 - ago, 1));
    return `${date.getUTCFullYear()}-${String(date.getUTCMonth() + 1).padStart(2, '0')}`;
  });
}

/** From when until before when a month lasts; not beyond now. */
export function spanOf(month: string, zone: string, now: number): { from: number; to: number } {
  const [year = 1970, number = 1] = month.split('-').map(Number);
  return { from: startOfMonth(year, number, zone), to: Math.min(startOfMonth(year, number + 1, zone), now) };
}
