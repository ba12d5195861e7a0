import { api, ApiError, onSignedOut, type Me } from './api/client';
import { town } from './town.svelte';

type Session = { kind: 'unknown' } | { kind: 'out' } | { kind: 'in'; me: Me };

/** As in the API, each may do what the ones before it may. */
const ROLES = ['viewer', 'crew', 'dispatcher', 'manager', 'admin'];

const state = $state<{ current: Session }>({ current: { kind: 'unknown' } });

function signedOut(): void {
  town.stop();
  navigator.serviceWorker?.controller?.postMessage('forget');
  state.current = { kind: 'out' };
}
onSignedOut(signedOut);

export const session = {
  get current(): Session {
    return state.current;
  },
  /** Whether the person's role is this one or a higher one. */
  can(role: string): boolean {
    const rank = (name: string) => ROLES.indexOf(name);
    return state.current.kind === 'in' && rank(state.current.me.role) >= rank(role);
  },
  /** Whether the person sees the whole site, and not only some zones. */
  get seesAll(): boolean {
    return state.current.kind === 'in' && state.current.me.zones.length === 0;
  },
  async resume(): Promise<void> {
    try {
      state.current = { kind: 'in', me: await api.me() };
      await town.start();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) state.current = { kind: 'out' };
    }
  },
  /** Asks for everything again. */
  async refresh(): Promise<void> {
    await Promise.all([api.me(), town.load()]).catch(() => undefined);
  },
  async signIn(name: string, password: string): Promise<void> {
    state.current = { kind: 'in', me: await api.signIn(name, password) };
    // Asked once more, so that it is kept for a start without a network.
    void api.me().catch(() => undefined);
    await town.start();
  },
  async signOut(): Promise<void> {
    await api.signOut().catch(() => undefined);
    signedOut();
  },
};
