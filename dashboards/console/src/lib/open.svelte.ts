import { api, type Alert, type AlertCounts, type AlertPage } from './api/client';
import { countsOf, timeLeft } from './board';
import { rank } from './severity';
import { clock } from './time.svelte';
import { plain } from './values';
import { WatchedMap } from './watched.svelte';

/** As long as the server's pages get. */
const PAGE = 1_000;
/** So many are sorted and filtered with each frame of a storm without a stutter; nobody reads further down. */
export const LOADED_MAX = 3_000;
/** So many fewer, and the next ones are loaded: not one request for each alert that is cleared. */
const SLACK = 100;
/** A storm changes the counts many times a second; they are asked for this often at most. */
const COUNTED_AGAIN_MS = 2_000;

export const FIRST_PAGE = { condition: 'active', sort: 'urgent', limit: PAGE };

/** Keeps back what is heard until the work is done: it is newer than what is being loaded. */
type Hold = (work: () => Promise<void>) => Promise<void>;

/**
 * The open alerts as far as this page has them: the most urgent ones up to a maximum, and what the live feed told since. When all
 * are here they are counted here; otherwise the counts are the server's.
 */
export class OpenAlerts {
  readonly rows = new WatchedMap<number, Alert>();
  /** Those that were loaded last. They are not new: they only were not here yet. */
  fetched = $state.raw<Alert[]>([]);
  /** Where the next page begins; null: all are here. */
  #cursor = $state<string | null>(null);
  #told = $state.raw<AlertCounts | null>(null);
  /** How many there were when the newest page was made. */
  #total = $state(0);
  /** None that is not here is more urgent than this. */
  #leastRank = 0;
  /** Of loads from the beginning: what an older one still waits for is of no use. */
  #load = 0;
  #isFilling = false;
  #asked = 0;
  #answered = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #hold: Hold;

  constructor(hold: Hold) {
    this.#hold = hold;
  }

  readonly #own = $derived(countsOf(this.rows.values()));
  /** Those of the server; when all are here, or nobody could ask, those of the list. */
  readonly counts = $derived(this.isWhole ? this.#own : (this.#told ?? { ...this.#own, total: this.#total }));
  readonly overdue = $derived(
    this.isWhole || !this.#told ? [...this.rows.values()].filter((alert) => (timeLeft(alert, clock.now) ?? 0) < 0).length : this.#told.overdue,
  );
  /** How many are here, and how many there are; null: these are all. */
  readonly part = $derived.by(() => {
    const [here, all] = [this.rows.size, this.counts.total];
    return this.isWhole || here >= all ? null : { here: plain(here), all: plain(all) };
  });
  /** Whether all open alerts are here. */
  get isWhole(): boolean {
    return this.#cursor === null;
  }
  /** Whether this is certainly the worst open alert of something, when it is the worst one here. */
  isWorst(severity: string | null): boolean {
    return this.isWhole || rank(severity) <= this.#leastRank;
  }

  /** Begins anew with the first page; null: nobody could say how many there are. */
  begin(page: AlertPage, counts: AlertCounts | null): void {
    this.#load += 1;
    this.rows.clear();
    this.#told = counts;
    this.#take(page);
  }

  clear(): void {
    this.#load += 1;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.rows.clear();
    this.fetched = [];
    this.#cursor = null;
    this.#told = null;
  }

  /** What the live feed tells of one. */
  put(alert: Alert): void {
    if (alert.condition === 'active') this.rows.set(alert.id, alert);
    else this.rows.delete(alert.id);
    // Of one that was not here nobody knows how it was counted before.
    if (!this.isWhole) this.#timer ??= setTimeout(() => void this.count(), COUNTED_AGAIN_MS);
  }

  /** Loads the next ones when it is worth a request. */
  refill(): void {
    if (!this.isWhole && this.rows.size <= LOADED_MAX - SLACK) void this.fill();
  }

  /** Loads page after page, up to the maximum. */
  async fill(): Promise<void> {
    if (this.#isFilling) return;
    this.#isFilling = true;
    try {
      while (this.#cursor !== null && this.rows.size < LOADED_MAX) await this.#hold(() => this.#next());
    } catch {
      // The next change or the next connection leads here again.
    } finally {
      this.#isFilling = false;
    }
  }

  async #next(): Promise<void> {
    const load = this.#load;
    const limit = Math.min(PAGE, LOADED_MAX - this.rows.size);
    const page = await api.alerts({ ...FIRST_PAGE, limit, cursor: this.#cursor ?? undefined });
    if (load === this.#load) this.#take(page);
  }

  #take(page: AlertPage): void {
    for (const alert of page.items) this.rows.set(alert.id, alert);
    this.fetched = page.items;
    this.#leastRank = rank(page.items.at(-1)?.severity);
    this.#cursor = page.next_cursor ?? null;
    this.#total = page.total;
  }

  /** Loads those that somebody looks for, when not all are here. */
  async also(filter: { severity?: string; kind?: string; zone?: string; team?: string; device?: string }): Promise<void> {
    if (this.isWhole || !Object.values(filter).some(Boolean)) return;
    const load = this.#load;
    await this.#hold(async () => {
      const page = await api.alerts({ ...FIRST_PAGE, ...filter });
      if (load !== this.#load) return;
      for (const alert of page.items) this.rows.set(alert.id, alert);
      this.fetched = page.items;
    }).catch(() => undefined);
  }

  /** Asks the server how many there are, when not all are here. */
  async count(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.isWhole) return;
    const asked = ++this.#asked;
    const load = this.#load;
    const counts = await api.alertCounts().catch(() => null);
    // A slow answer is not newer than the one after it.
    if (!counts || load !== this.#load || asked < this.#answered) return;
    this.#answered = asked;
    this.#told = counts;
  }
}
