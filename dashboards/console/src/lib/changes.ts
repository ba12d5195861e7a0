/** What a change of the live feed makes of what is known. */
import type { Alert, Change, Device } from './api/client';
import { rank } from './severity';

/** A device with a reading; as it is when it knows a newer one. */
export function withReading(device: Device, reading: Change['readings'][number], now: string): Device {
  const known = device.latest[reading.metric];
  // Late readings are stored where they belong in time; they are not the newest.
  if (known?.observed_at && Date.parse(known.observed_at) > reading.at) return device;
  const observed_at = new Date(reading.at).toISOString();
  const latest = { ...device.latest, [reading.metric]: { value: reading.value, observed_at, received_at: now } };
  return { ...device, latest, last_seen_at: now };
}

/** The worst severity of each of these devices, among these alerts: all are looked through once. */
export function worstOf(alerts: Iterable<Alert>, ids: Set<string>): Map<string, string> {
  const worst = new Map<string, string>();
  for (const { device, severity } of alerts) {
    if (device && ids.has(device.id) && rank(severity) < rank(worst.get(device.id))) worst.set(device.id, severity);
  }
  return worst;
}
