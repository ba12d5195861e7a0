import { cleanup, render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, it } from 'vitest';
import type { Alert, AlertCounts } from '../../lib/api/client';
import { language } from '../../lib/i18n/index.svelte';
import { town } from '../../lib/town.svelte';
import { plain } from '../../lib/values';
import BoardHead from '../BoardHead.svelte';

const FILTER = { severity: '', kind: '', zone: '', team: '', text: '' };
const alerts = (count: number) => Array.from({ length: count }, (_, id) => ({ id, severity: 'major', handling: 'new', condition: 'active' }) as Alert);
const counts: AlertCounts = { total: 3_412, by_severity: { critical: 1, major: 3_000, minor: 400, warning: 11 }, unacknowledged: 3_300, overdue: 250 };

function storm(next_cursor: string | null) {
  town.open.begin({ items: alerts(1_000), next_cursor, total: 3_412, total_is_exact: true }, counts);
}
const part = () => document.querySelector('.part')?.textContent;
afterEach(() => {
  cleanup();
  language.set('en');
  town.open.clear();
});

describe('the head of the board', () => {
  it('says in both languages how many of all are here', () => {
    storm('more');
    render(BoardHead, { filter: FILTER, showsCleared: false, onhelp: () => {} });
    expect(part()).toBe(`${plain(1_000)} of ${plain(3_412)}`);
    cleanup();
    language.set('zh');
    render(BoardHead, { filter: FILTER, showsCleared: false, onhelp: () => {} });
    expect(part()).toBe(`${plain(1_000)} / 共 ${plain(3_412)} 条`);
  });

  it('has the counts of all, not of those that are here', () => {
    storm('more');
    render(BoardHead, { filter: FILTER, showsCleared: false, onhelp: () => {} });
    const tile = (name: string) => screen.getByText(name).parentElement?.querySelector('strong')?.textContent;
    expect(['Critical', 'Major', 'Minor', 'Warning', 'Overdue', 'Waiting'].map(tile)).toEqual(['1', plain(3_000), '400', '11', '250', plain(3_300)]);
  });

  it('says nothing of the kind when all are here, or among cleared ones', () => {
    storm(null);
    render(BoardHead, { filter: FILTER, showsCleared: false, onhelp: () => {} });
    expect(part()).toBeUndefined();
    cleanup();
    storm('more');
    render(BoardHead, { filter: FILTER, showsCleared: true, onhelp: () => {} });
    expect(part()).toBeUndefined();
  });
});
