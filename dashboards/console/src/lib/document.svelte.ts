/** Rules, zones or teams as a draft: changed here, judged by the server with each change, saved as a whole. */
import { api, ApiError, type SetupEdit, type TableFault } from './api/client';

export type Entry = Record<string, unknown>;

export class Draft {
  text = $state('');
  faults = $state<TableFault[]>([]);
  entries = $state<Record<string, unknown>>({});
  failure = $state('');
  busy = $state(false);
  loaded = $state(false);
  #saved = $state('');
  #version = '';

  constructor(readonly name: 'rules' | 'zones' | 'teams') {}

  get isChanged(): boolean {
    return this.text !== this.#saved;
  }

  /** The entries of `[[table]]`. */
  list(table: string): Entry[] {
    const found = this.entries[table];
    return Array.isArray(found) ? (found as Entry[]) : [];
  }

  /** What `[table]` says. */
  table(name: string): Entry {
    const found = this.entries[name];
    return found && typeof found === 'object' && !Array.isArray(found) ? (found as Entry) : {};
  }

  async #do(work: () => Promise<void>): Promise<boolean> {
    this.busy = true;
    this.failure = '';
    try {
      await work();
      return true;
    } catch (error) {
      this.failure = (error as Error).message;
      if (error instanceof ApiError && error.faults.length) this.faults = error.faults;
      return false;
    } finally {
      this.busy = false;
    }
  }

  load(): Promise<boolean> {
    return this.#do(async () => {
      const document = await api.document(this.name);
      this.text = this.#saved = document.text;
      this.#version = document.version;
      this.entries = (document.entries ?? {}) as Record<string, unknown>;
      this.faults = document.faults;
      this.loaded = true;
    });
  }

  /** Changes parts of the draft; with none, only asks what is wrong with it. */
  edit(...edits: SetupEdit[]): Promise<boolean> {
    return this.#do(async () => {
      const document = await api.draft(this.name, this.text, edits);
      this.text = document.text;
      this.faults = document.faults;
      if (document.entries) this.entries = document.entries as Record<string, unknown>;
    });
  }

  save(): Promise<boolean> {
    return this.#do(async () => {
      const document = await api.saveDocument(this.name, this.text, this.#version);
      this.text = this.#saved = document.text;
      this.#version = document.version;
      this.faults = document.faults;
    });
  }
}
