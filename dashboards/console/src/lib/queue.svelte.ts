/**
 * What a crew says where there is no network: kept on the phone, and sent in its order as soon as sanimon answers.
 * A task that the server refuses is not tried again: it is shown with the reason until somebody has read it.
 */
import { get, update } from 'idb-keyval';
import { api, ApiError, type Step } from './api/client';
import { session } from './session.svelte';

export type Task =
  | { kind: 'step'; alert: number; title: string; step: Step; note?: string; seen?: string }
  | { kind: 'photo'; alert: number; title: string; photo: Blob }
  | { kind: 'stop'; round: number; n: number; title: string; state: string; note?: string };
export type Waiting = Task & { id: string; refused?: string };

const KEY = 'sanimon.queue';
const RETRY_MS = 15_000;
const state = $state<{ waiting: Waiting[] }>({ waiting: [] });
let sending: Promise<void> | null = null;
let timer: ReturnType<typeof setInterval> | undefined;

async function store(change: (waiting: Waiting[]) => Waiting[]): Promise<void> {
  await update<Waiting[]>(KEY, (kept) => (state.waiting = change(kept ?? [])));
}

/** Whether a step that was refused had been taken already: its answer was lost on the way. */
async function wasTaken(task: Extract<Task, { kind: 'step' }>): Promise<boolean> {
  const alert = await api.alert(task.alert);
  const mine = session.current.kind === 'in' ? session.current.me.username : '';
  const said: Partial<Record<Step, string>> = { acknowledge: 'acknowledged', arrive: 'arrived', handle: 'handled' };
  return alert.history.some((entry) => entry.who === mine && entry.kind === said[task.step]);
}

async function send(task: Task): Promise<void> {
  if (task.kind === 'photo') return api.addPhoto(task.alert, task.photo);
  if (task.kind === 'stop') return void (await api.markStop(task.round, task.n, { state: task.state, note: task.note }));
  try {
    await api.step(task.alert, task.step, { note: task.note, seen: task.seen });
  } catch (error) {
    if (error instanceof ApiError && error.status === 409 && (await wasTaken(task))) return;
    throw error;
  }
}

/** No answer, or one that says to come again: the task stays. */
function isPassing(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status === 0 || error.status === 401 || error.status >= 500;
}

async function sendAll(): Promise<void> {
  for (const task of [...state.waiting]) {
    if (task.refused) continue;
    try {
      await send(task);
      await store((waiting) => waiting.filter((other) => other.id !== task.id));
    } catch (error) {
      if (isPassing(error)) return;
      const refused = (error as Error).message;
      await store((waiting) => waiting.map((other) => (other.id === task.id ? { ...other, refused } : other)));
    }
  }
}

export const queue = {
  get waiting(): Waiting[] {
    return state.waiting;
  },
  async start(): Promise<void> {
    state.waiting = (await get<Waiting[]>(KEY).catch(() => undefined)) ?? [];
    addEventListener('online', () => void queue.flush());
    timer ??= setInterval(() => state.waiting.some((task) => !task.refused) && void queue.flush(), RETRY_MS);
    await queue.flush();
  },
  async add(...tasks: Task[]): Promise<void> {
    await store((waiting) => [...waiting, ...tasks.map((task) => ({ ...task, id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` }))]);
    await queue.flush();
  },
  /** Sends what waits; two at once would send twice. */
  flush(): Promise<void> {
    sending ??= sendAll().finally(() => (sending = null));
    return sending;
  },
  async forget(id: string): Promise<void> {
    await store((waiting) => waiting.filter((task) => task.id !== id));
  },
};
