/** The address is the state: pages and filters can be linked, and back works. */
const state = $state({ path: location.pathname, search: location.search });

function read(): void {
  state.path = location.pathname;
  state.search = location.search;
}
addEventListener('popstate', read);

export const route = {
  get path(): string {
    return state.path;
  },
  get query(): URLSearchParams {
    return new URLSearchParams(state.search);
  },
};

export function go(to: string): void {
  history.pushState(null, '', to);
  read();
  document.getElementById('content')?.scrollTo(0, 0);
}

/** Changes filters in the address without a new entry in the history. */
export function setQuery(values: Record<string, string | null>): void {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(values)) {
    if (value) query.set(key, value);
    else query.delete(key);
  }
  const text = query.toString();
  history.replaceState(null, '', text ? `?${text}` : location.pathname);
  read();
}

/** For `<a>`: links within the console do not load the page anew. */
export function link(event: MouseEvent): void {
  const anchor = (event.target as Element | null)?.closest('a');
  if (!anchor || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (anchor.target || anchor.origin !== location.origin || anchor.pathname.startsWith('/api/')) return;
  event.preventDefault();
  go(anchor.pathname + anchor.search);
}
