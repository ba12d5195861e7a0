import type { components } from './schema';

export type Alert = components['schemas']['AlertBody'];
export type AlertCounts = components['schemas']['AlertCounts'];
export type AlertWithHistory = components['schemas']['AlertWithHistory'];
export type AlertPage = components['schemas']['AlertPage'];
export type Change = components['schemas']['Change'];
export type Device = components['schemas']['DeviceBody'];
export type Me = components['schemas']['Me'];
export type QuarantinePage = components['schemas']['QuarantinePage'];
export type MetLimit = components['schemas']['MetLimit'];
export type Readiness = components['schemas']['Readiness'];
export type Site = components['schemas']['SiteBody'];
export type Step = 'acknowledge' | 'dispatch' | 'arrive' | 'handle' | 'verify' | 'reopen' | 'dismiss';
export type Stats = components['schemas']['Stats'];
export type Telemetry = components['schemas']['Telemetry'];
export type Trust = components['schemas']['TrustBody'];
export type Zone = components['schemas']['ZoneBody'];
export type Forecast = components['schemas']['ForecastBody'];
export type Report = components['schemas']['ReportBody'];
export type MessagePage = components['schemas']['MessagePage'];
export type Channel = components['schemas']['ChannelBody'];
export type DeviceRule = components['schemas']['DeviceRuleBody'];
export type MeasureAnswer = components['schemas']['MeasureAnswer'];
export type MeasuredGroup = components['schemas']['MeasuredGroup'];
export type MeasuredDay = components['schemas']['MeasuredDay'];
export type Team = components['schemas']['TeamBody'];
export type Photo = components['schemas']['PhotoBody'];
export type Vehicle = components['schemas']['VehicleBody'];
export type Plan = components['schemas']['PlanBody'];
export type PlanRequest = components['schemas']['PlanRequest'];
export type Round = components['schemas']['RoundBody'];
export type RoundStop = components['schemas']['RoundStopBody'];
export type SetupDocument = components['schemas']['DocumentBody'];
/** What an entry holds is the document's own. */
export type SetupEdit = Pick<components['schemas']['Edit'], 'table' | 'id'> & {
  entry?: Record<string, unknown>;
  entries?: Record<string, unknown>[];
};
export type Tried = components['schemas']['Tried'];
export type Account = components['schemas']['UserBody'];
export type Entered = components['schemas']['UserEntered'];
export type Token = components['schemas']['TokenBody'];
export type TokenMade = components['schemas']['TokenMade'];
export type Credential = components['schemas']['CredentialBody'];
export type CredentialMade = components['schemas']['CredentialMade'];
export type AuditPage = components['schemas']['AuditPage'];
export type DeviceEntry = components['schemas']['DeviceEntry'];
export type Imported = components['schemas']['Imported'];
export type TableFault = components['schemas']['TableFault'];
export type Model = components['schemas']['ModelInfo'];
export type MetricInfo = components['schemas']['MetricBody'];
export type Window = components['schemas']['WindowBody'];

/** An answer that is not the one that was asked for, with what the server says about it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** Every fault of a document or table that was refused. */
    readonly faults: TableFault[] = [],
  ) {
    super(message);
  }
}

/** Whether an answer came from what was kept for a dead spot: it is old, and what it says must be asked again. */
export const answers = { areOld: false };

let whenSignedOut: () => void = () => {};

/** Called when the server no longer knows the session. */
export function onSignedOut(callback: () => void): void {
  whenSignedOut = callback;
}

/** Sends JSON, or a file as it is; the answer is JSON. */
async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const text = await requestText(method, path, body);
  return (text ? JSON.parse(text) : undefined) as T;
}

async function requestText(method: string, path: string, body?: unknown): Promise<string> {
  const init: RequestInit = { method };
  if (body instanceof Blob) {
    init.headers = { 'content-type': body.type || 'application/octet-stream' };
    init.body = body;
  } else if (body !== undefined) {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new ApiError(0, 'no answer');
  }
  if (response.headers.has('x-sanimon-kept')) answers.areOld = true;
  if (response.status === 401 && path !== '/api/v1/session') whenSignedOut();
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as { detail?: string; faults?: TableFault[] };
    throw new ApiError(response.status, problem.detail ?? response.statusText, problem.faults);
  }
  return response.text();
}

function query(values: Record<string, string | number | undefined>): string {
  const used = Object.entries(values).filter(([, value]) => value !== undefined && value !== '');
  return used.length ? `?${new URLSearchParams(used.map(([key, value]) => [key, String(value)]))}` : '';
}

const path = encodeURIComponent;

export const api = {
  me: () => request<Me>('GET', '/api/v1/me'),
  signIn: (username: string, password: string) => request<Me>('POST', '/api/v1/session', { username, password }),
  signOut: () => request<void>('DELETE', '/api/v1/session'),
  site: () => request<Site>('GET', '/api/v1/site'),
  zones: () => request<Zone[]>('GET', '/api/v1/zones'),
  forecast: (id: string) => request<Forecast>('GET', `/api/v1/devices/${encodeURIComponent(id)}/forecast`),
  rulesOf: (id: string) => request<DeviceRule[]>('GET', `/api/v1/devices/${encodeURIComponent(id)}/rules`),
  reports: (alert: number) => request<Report[]>('GET', `/api/v1/alerts/${alert}/reports`),
  messages: (query: string) => request<MessagePage>('GET', `/api/v1/messages?${query}`),
  channels: () => request<Channel[]>('GET', '/api/v1/channels'),
  testChannel: (name: string) => request<{ id: number }>('POST', `/api/v1/channels/${encodeURIComponent(name)}/test`, {}),
  snooze: (entry: { device?: string; zone?: string; rule: string; to: string; reason: string }) =>
    request<{ id: number }>('POST', '/api/v1/maintenance', entry),
  retryMessage: (id: number) => request<void>('POST', `/api/v1/messages/${id}/retry`, {}),
  measures: (query: { from: string; to: string; group_by: string }) =>
    request<MeasureAnswer>('GET', `/api/v1/measures?${new URLSearchParams(query)}`),
  teams: () => request<Team[]>('GET', '/api/v1/teams'),
  stats: () => request<Stats>('GET', '/api/v1/stats'),
  mqttLimits: () => request<components['schemas']['MetLimits']>('GET', '/api/v1/mqtt/limits'),
  alerts: (filter: Record<string, string | number | undefined>) =>
    request<AlertPage>('GET', `/api/v1/alerts${query(filter)}`),
  alertCounts: () => request<AlertCounts>('GET', '/api/v1/alerts/counts'),
  alert: (id: number) => request<AlertWithHistory>('GET', `/api/v1/alerts/${id}`),
  step: (id: number, step: Step, entry: { note?: string; assignee?: string; seen?: string }) =>
    request<Alert>('POST', `/api/v1/alerts/${id}/${step}`, entry),
  comment: (id: number, note: string) => request<Alert>('POST', `/api/v1/alerts/${id}/comment`, { note }),
  device: (id: string) => request<Device>('GET', `/api/v1/devices/${path(id)}`),
  telemetry: (id: string, options: { metric: string; from: string; to: string; every?: string; fn?: string }) =>
    request<Telemetry>('GET', `/api/v1/devices/${path(id)}/telemetry${query(options)}`),
  trust: (id: string) => request<Trust>('GET', `/api/v1/devices/${path(id)}/trust`),
  accept: (id: string) => request<Device>('POST', `/api/v1/devices/${path(id)}/accept`),
  calibrate: (id: string, point: 'empty' | 'full') =>
    request<Device>('POST', `/api/v1/devices/${path(id)}/calibrate`, { point }),
  cleaned: (id: string) => request<void>('POST', `/api/v1/devices/${path(id)}/cleaned`),
  cancelCalibration: (id: string) => request<Device>('DELETE', `/api/v1/devices/${path(id)}/calibrate`),
  photos: (alert: number) => request<Photo[]>('GET', `/api/v1/alerts/${alert}/photos`),
  addPhoto: (alert: number, photo: Blob) => request<void>('POST', `/api/v1/alerts/${alert}/photos`, photo),
  putDevice: (id: string, entry: DeviceEntry) => request<Device>('PUT', `/api/v1/devices/${path(id)}`, entry),
  removeMetric: (name: string) => request<void>('DELETE', `/api/v1/metrics/${path(name)}`),
  retireDevice: (id: string) => request<void>('DELETE', `/api/v1/devices/${path(id)}`),
  replaceDevice: (id: string, entry: { hardware_id: string; model?: string }) =>
    request<Device>('POST', `/api/v1/devices/${path(id)}/replace`, entry),
  importDevices: (table: Blob, dryRun: boolean) => request<Imported>('POST', `/api/v1/devices/import?dry_run=${dryRun}`, table),
  models: () => request<Model[]>('GET', '/api/v1/models'),
  metrics: () => request<MetricInfo[]>('GET', '/api/v1/metrics'),
  vehicles: () => request<Vehicle[]>('GET', '/api/v1/vehicles'),
  plan: (wanted: PlanRequest) => request<Plan>('POST', '/api/v1/rounds/plan', wanted),
  rounds: () => request<Round[]>('GET', '/api/v1/rounds'),
  round: (id: number) => request<Round>('GET', `/api/v1/rounds/${id}`),
  makeRound: (wanted: PlanRequest) => request<{ id: number }>('POST', '/api/v1/rounds', wanted),
  markStop: (round: number, n: number, entry: { state: string; note?: string }) =>
    request<Round>('POST', `/api/v1/rounds/${round}/stops/${n}`, entry),
  endRound: (id: number) => request<void>('DELETE', `/api/v1/rounds/${id}`),
  document: (name: string) => request<SetupDocument>('GET', `/api/v1/setup/${name}`),
  draft: (name: string, text: string, edits: SetupEdit[]) => request<SetupDocument>('POST', `/api/v1/setup/${name}/draft`, { text, edits }),
  saveDocument: (name: string, text: string, version: string) => request<SetupDocument>('PUT', `/api/v1/setup/${name}`, { text, version }),
  tryRules: (text: string, hours: number) => request<Tried>('POST', '/api/v1/setup/rules/try', { text, hours }),
  tokens: () => request<Token[]>('GET', '/api/v1/tokens'),
  makeToken: (entry: { name: string; scopes: string[]; days: number }) => request<TokenMade>('POST', '/api/v1/tokens', entry),
  revokeToken: (id: number) => request<void>('DELETE', `/api/v1/tokens/${id}`),
  credentials: () => request<Credential[]>('GET', '/api/v1/credentials'),
  makeCredential: (entry: { username: string; publish: string[]; subscribe: string[] }) =>
    request<CredentialMade>('POST', '/api/v1/credentials', entry),
  revokeCredential: (id: number) => request<void>('DELETE', `/api/v1/credentials/${id}`),
  /** A table of devices becomes a table of secrets. */
  provision: (file: File) => requestText('POST', '/api/v1/credentials/provision', new Blob([file], { type: 'text/csv' })),
  users: () => request<Account[]>('GET', '/api/v1/users'),
  putUser: (name: string, entry: { role: string; password?: string; new_password?: boolean; zones?: string[] }) =>
    request<Entered>('PUT', `/api/v1/users/${path(name)}`, entry),
  removeUser: (name: string) => request<void>('DELETE', `/api/v1/users/${path(name)}`),
  changePassword: (old: string, next: string) => request<void>('POST', '/api/v1/me/password', { old, new: next }),
  audit: (cursor?: number) => request<AuditPage>('GET', `/api/v1/audit${query({ cursor })}`),
  windows: () => request<Window[]>('GET', '/api/v1/maintenance'),
  endWindow: (id: number) => request<void>('DELETE', `/api/v1/maintenance/${id}`),
  makeCodes: (zones: boolean) => request<unknown>('POST', '/api/v1/places/codes', { zones }),
  quarantine: () => request<QuarantinePage>('GET', '/api/v1/quarantine'),

  /** Every device, page after page. */
  async devices(): Promise<Device[]> {
    const all: Device[] = [];
    let cursor: number | undefined;
    do {
      const page: components['schemas']['DevicePage'] = await request('GET', `/api/v1/devices${query({ limit: 5000, cursor })}`);
      all.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    return all;
  },

  /** Whether messages can be taken and stored; also when the answer is 503. */
  async readiness(): Promise<Readiness> {
    const response = await fetch('/readyz');
    return (await response.json()) as Readiness;
  },
};
