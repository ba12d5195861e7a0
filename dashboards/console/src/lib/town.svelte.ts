import { answers, api, type Alert, type Change, type Device, type Readiness, type Site, type Team, type Zone } from './api/client';
import { withReading, worstOf } from './changes';
import { both } from './i18n/index.svelte';
import { FIRST_PAGE, OpenAlerts } from './open.svelte';
import { stateOf, type State } from './severity';
import { clock } from './time.svelte';
import { WatchedMap } from './watched.svelte';

/** How often the state of the store and the sources is asked for. */
const READINESS_EVERY_MS = 10_000;
/** Between two tries to connect, when the browser does not try by itself. */
const RECONNECT_MS = 3_000;
/** The server tells the time every 5 s at least: who hears nothing for so long is cut off. */
const SILENCE_MS = 12_000;
const LISTEN_EVERY_MS = 1_000;
/** So long is waited for the feed's first word before everything is loaded without it. */
const FIRST_WORD_MS = 2_000;
/** Devices are asked for again this often at most, when not all open alerts are here. */
const DEVICES_AGAIN_MS = 15_000;
/** A page in the background draws this often. */
const HIDDEN_MS = 500;

/** The town as this page knows it: loaded once, then kept up to date by the live feed. */
class Town {
  site = $state<Site | null>(null);
  zones = $state<Zone[]>([]);
  teams = $state<Team[]>([]);
  readonly devices = new WatchedMap<string, Device>();
  readonly open = new OpenAlerts((work) => this.#holding(work));
  /** Alerts whose condition is active, by number, as far as they are here: see `open`. */
  readonly alerts = this.open.rows;
  /** Alerts that changed since they were loaded, also those that were cleared: pages that show one follow it. */
  lastChanged = $state<Alert | null>(null);
  loaded = $state(false);
  failure = $state<string | null>(null);
  live = $state(false);
  /** The site's time when the connection was last known to be good. */
  lastHeard = $state(0);
  readiness = $state<Readiness | null>(null);
  /** Counts changes, so that the map draws again no more often than it must. */
  version = $state(0);

  /** Told of alerts that were not here before. */
  onraised: (alerts: Alert[]) => void = () => {};

  #source: EventSource | null = null;
  /** Changes that came since the last frame: many a second are drawn once. */
  #waiting: Change[] = [];
  #frame = 0;
  #loading = 0;
  /** What was loaded came from what this phone had kept. */
  #isOld = false;
  #heardAt = 0;
  /** The newest event that was heard, for a connection of our own making. */
  #lastId = '';
  #listenTimer: ReturnType<typeof setInterval> | undefined;
  #readinessTimer: ReturnType<typeof setInterval> | undefined;
  #reconnectTimer: ReturnType<typeof setTimeout> | undefined;
  #devicesTimer: ReturnType<typeof setTimeout> | undefined;

  async start(): Promise<void> {
    // Who loads first and listens then misses what changes in between.
    await this.#holding(() => this.#connect().then(() => this.load()));
    this.#readinessTimer ??= setInterval(() => this.#askReadiness(), READINESS_EVERY_MS);
    this.#listenTimer ??= setInterval(() => this.#listen(), LISTEN_EVERY_MS);
    addEventListener('offline', this.#offline);
    addEventListener('online', this.#online);
    void this.#askReadiness();
  }

  stop(): void {
    this.#source?.close();
    this.#source = null;
    clearInterval(this.#listenTimer);
    this.#listenTimer = undefined;
    removeEventListener('offline', this.#offline);
    removeEventListener('online', this.#online);
    clearInterval(this.#readinessTimer);
    this.#readinessTimer = undefined;
    clearTimeout(this.#reconnectTimer);
    clearTimeout(this.#devicesTimer);
    this.#devicesTimer = undefined;
    this.loaded = false;
    this.devices.clear();
    this.open.clear();
    this.#lastId = '';
  }

  async load(): Promise<void> {
    await this.#holding(() => this.#load());
    // The first page is drawn before the others are here. What was kept on a phone has no others.
    if (!this.#isOld) void this.open.fill();
  }

  /** What is heard meanwhile is newer than what is being loaded: it waits, and is applied afterwards. */
  async #holding(work: () => Promise<void>): Promise<void> {
    this.#loading += 1;
    try {
      await work();
    } finally {
      this.#loading -= 1;
      this.version++;
      if (this.#waiting.length) this.#drawSoon();
    }
  }

  async #load(): Promise<void> {
    answers.areOld = false;
    try {
      const [site, zones, teams, devices, alerts, counts] = await Promise.all([
        api.site(),
        api.zones(),
        api.teams(),
        api.devices(),
        api.alerts(FIRST_PAGE),
        // Without a network nobody says it; what was kept of the alerts is shown all the same.
        api.alertCounts().catch(() => null),
      ]);
      clock.zone = site.time_zone;
      this.#isOld = answers.areOld;
      // An answer that was kept knows an older time: the phone's is nearer.
      clock.set(this.#isOld ? new Date().toISOString() : site.now, site.simulation_speed ?? 1);
      this.site = site;
      this.zones = zones;
      this.teams = teams;
      this.#setDevices(devices);
      this.open.begin(alerts, counts);
      this.failure = null;
      this.loaded = true;
    } catch (error) {
      this.failure = (error as Error).message;
    }
  }

  #setDevices(devices: Device[]): void {
    this.devices.clear();
    for (const device of devices) this.devices.set(device.id, device);
  }

  zoneName(id: string | null | undefined, language: 'en' | 'zh'): string {
    const zone = this.zones.find((known) => known.id === id);
    return zone ? zone.name[language] : (id ?? '');
  }

  /** A team's name in the page's language; a person's as it is. */
  teamName(id: string): string {
    const team = this.teams.find((known) => known.id === id);
    return team ? both(team.name) : id;
  }

  /** The state of a device by its open alerts. */
  stateOf(device: Device): State {
    return stateOf(device.worst);
  }

  /** Resolves with the first word, or when there will be none. */
  #connect(): Promise<void> {
    this.#source?.close();
    clearTimeout(this.#reconnectTimer);
    this.#heardAt = performance.now();
    const source = new EventSource(this.#lastId ? `/api/v1/events?last_event_id=${encodeURIComponent(this.#lastId)}` : '/api/v1/events');
    this.#source = source;
    const heard = (event: Event) => {
      this.#lastId = (event as MessageEvent).lastEventId || this.#lastId;
      this.live = true;
      this.#heardAt = performance.now();
      this.lastHeard = clock.now;
    };
    source.addEventListener('hello', (event) => {
      heard(event);
      clock.set((event as MessageEvent<string>).data);
      if (this.#isOld) void this.load();
      else void this.open.count();
    });
    source.addEventListener('time', (event) => {
      heard(event);
      clock.set((event as MessageEvent<string>).data);
    });
    source.addEventListener('change', (event) => {
      heard(event);
      this.#later(JSON.parse((event as MessageEvent<string>).data) as Change);
    });
    source.addEventListener('reset', (event) => {
      heard(event);
      void this.load();
    });
    source.onerror = () => {
      this.live = false;
      // The browser tries again by itself unless it was refused; then so do we.
      if (source.readyState === EventSource.CLOSED && this.#source === source) {
        this.#reconnectTimer = setTimeout(() => {
          void api.me().catch(() => undefined);
          void this.#connect();
        }, RECONNECT_MS);
      }
    };
    return new Promise((resolve) => {
      for (const end of ['hello', 'error']) source.addEventListener(end, () => resolve(), { once: true });
      setTimeout(resolve, FIRST_WORD_MS);
    });
  }

  #offline = () => (this.live = false);
  #online = () => void this.#connect();

  /** A network that is gone ends no connection: silence does. */
  #listen(): void {
    if (!this.#source || performance.now() - this.#heardAt < SILENCE_MS) return;
    this.live = false;
    this.#heardAt = performance.now();
    void this.#connect();
  }

  /** What a change of this page's own made of a device. */
  put(device: Device): void {
    this.devices.set(device.id, device);
    this.version++;
  }

  #later(change: Change): void {
    this.#waiting.push(change);
    this.#drawSoon();
  }

  /** Draws with the next frame; a page that nobody sees has none. */
  #drawSoon(): void {
    if (this.#frame || this.#loading > 0) return;
    const draw = () => {
      this.#frame = 0;
      if (this.#loading === 0) this.#draw();
    };
    this.#frame = document.hidden ? window.setTimeout(draw, HIDDEN_MS) : requestAnimationFrame(draw);
  }

  #draw(): void {
    const changes = this.#waiting;
    this.#waiting = [];
    const raised = new Map<number, Alert>();
    for (const change of changes) {
      for (const alert of change.alerts) {
        if (alert.condition === 'active' && alert.handling === 'new' && !this.alerts.has(alert.id)) raised.set(alert.id, alert);
      }
      this.#apply(change);
    }
    const open = [...raised.values()].filter((alert) => this.alerts.has(alert.id));
    if (open.length) this.onraised(open);
    this.open.refill();
  }

  #apply(change: Change): void {
    clock.set(change.now);
    for (const device of change.devices) {
      const worst = this.devices.get(device.id)?.worst;
      if (device.state === 'retired') this.devices.delete(device.id);
      else this.devices.set(device.id, { ...device, worst: worst ?? device.worst });
    }
    for (const reading of change.readings) {
      const device = this.devices.get(reading.device);
      if (device) this.devices.set(reading.device, withReading(device, reading, change.now));
    }
    for (const alert of change.alerts) {
      this.open.put(alert);
      this.lastChanged = alert;
    }
    this.#judge(new Set(change.alerts.flatMap((alert) => alert.device?.id ?? [])));
    this.version++;
  }

  /** What these devices show: their worst open alerts. */
  #judge(ids: Set<string>): void {
    if (ids.size === 0) return;
    const worst = worstOf(this.alerts.values(), ids);
    for (const id of ids) {
      const device = this.devices.get(id);
      const found = worst.get(id) ?? null;
      if (device && this.open.isWorst(found)) this.devices.set(id, { ...device, worst: found });
      // A worse one may not be here: what is shown stays until the server has said it.
      else if (device) this.#devicesTimer ??= setTimeout(() => void this.#askDevices(), DEVICES_AGAIN_MS);
    }
  }

  async #askDevices(): Promise<void> {
    this.#devicesTimer = undefined;
    await this.#holding(async () => this.#setDevices(await api.devices())).catch(() => undefined);
  }

  async #askReadiness(): Promise<void> {
    if (document.hidden) return;
    // What is overdue grows without an event.
    void this.open.count();
    try {
      this.readiness = await api.readiness();
    } catch {
      this.readiness = null;
    }
  }
}

export const town = new Town();
