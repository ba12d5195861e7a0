/** A list that does not jump: while somebody points at it, what is there keeps its place, and what is new waits. */
import type { Alert } from './api/client';

/** Rows as they are held: what was cleared meanwhile stays until the list is let go. */
export interface Held {
  ids: number[];
  rows: Map<number, Alert>;
}

export function hold(list: Alert[]): Held {
  return { ids: list.map((alert) => alert.id), rows: new Map(list.map((alert) => [alert.id, alert])) };
}

/** The held rows, each as it is now, and how many new ones wait. */
export function heldList(held: Held, list: Alert[]): { list: Alert[]; waiting: number } {
  const now = new Map(list.map((alert) => [alert.id, alert]));
  const kept = held.ids.map((id) => now.get(id) ?? held.rows.get(id)).filter((alert) => alert !== undefined);
  return { list: kept, waiting: list.filter((alert) => !held.rows.has(alert.id)).length };
}

/** With rows that were not here yet: they are not new, and stand at the end until the list is let go. */
export function joined(held: Held, fetched: Alert[]): Held {
  const more = fetched.filter((alert) => !held.rows.has(alert.id));
  return { ids: [...held.ids, ...more.map((alert) => alert.id)], rows: new Map([...held.rows, ...more.map((alert) => [alert.id, alert] as const)]) };
}
