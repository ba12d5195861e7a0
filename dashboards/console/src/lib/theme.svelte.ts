const REMEMBERED = 'sanimon.theme';

const remembered = localStorage.getItem(REMEMBERED);
if (remembered) document.documentElement.dataset.theme = remembered;

const state = $state({ version: 0 });

export const theme = {
  /** Changes when the theme does: canvases read their colours again. */
  get version(): number {
    return state.version;
  },
  toggle(): void {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const now = document.documentElement.dataset.theme ?? (dark ? 'dark' : 'light');
    const next = now === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = next;
    localStorage.setItem(REMEMBERED, next);
    state.version++;
  },
};
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => state.version++);
