import { language, t } from './i18n/index.svelte';

/** The site's clock: it may run faster than life, and it is not this computer's. */
const site = $state({ at: Date.now(), measured: performance.now(), speed: 1, zone: 'UTC' });
const beat = $state({ now: Date.now() });

const read = () => site.at + (performance.now() - site.measured) * site.speed;

setInterval(() => (beat.now = read()), 1000);

export const clock = {
  /** Moves once a second, so that everything that shows a time moves together. */
  get now(): number {
    return beat.now;
  },
  set(at: string, speed?: number | null) {
    site.at = Date.parse(at);
    site.measured = performance.now();
    if (speed !== undefined) site.speed = speed ?? 1;
    beat.now = site.at;
  },
  get zone(): string {
    return site.zone;
  },
  set zone(zone: string) {
    site.zone = zone;
  },
};

/** A length of time in its one or two largest units. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return t('time.seconds', { n: seconds });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t('time.minutes', { n: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    const rest = minutes % 60;
    return rest ? `${t('time.hours', { n: hours })} ${t('time.minutes', { n: rest })}` : t('time.hours', { n: hours });
  }
  const days = Math.floor(hours / 24);
  const rest = hours % 24;
  return rest ? `${t('time.days', { n: days })} ${t('time.hours', { n: rest })}` : t('time.days', { n: days });
}

export function ago(at: string | number, now: number): string {
  const ms = now - (typeof at === 'number' ? at : Date.parse(at));
  return ms < 45_000 ? t('time.now') : t('time.ago', { time: duration(ms) });
}

/** Date and time in the site's zone. */
export function dateTime(at: string | number): string {
  return new Intl.DateTimeFormat(language.locale, {
    timeZone: site.zone,
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  }).format(new Date(at));
}

/** A day in the site's zone. */
export function date(at: string | number): string {
  const options = { timeZone: site.zone, year: 'numeric', month: 'short', day: 'numeric' } as const;
  return new Intl.DateTimeFormat(language.locale, options).format(new Date(at));
}

export function timeOfDay(at: string | number): string {
  return new Intl.DateTimeFormat(language.locale, { timeZone: site.zone, hour: '2-digit', minute: '2-digit' }).format(
    new Date(at),
  );
}
