import { flushSync } from 'svelte';
import { describe, expect, it } from 'vitest';
import { WatchedMap } from './watched.svelte';

describe('a watched map', () => {
  it('tells its readers of each change', () => {
    const map = new WatchedMap<string, number>();
    const seen: number[] = [];
    const end = $effect.root(() => {
      $effect(() => {
        seen.push([...map.values()].reduce((sum, value) => sum + value, 0));
      });
    });
    flushSync();
    map.set('a', 1).set('b', 2);
    flushSync();
    map.delete('a');
    map.delete('nothing');
    flushSync();
    map.clear();
    flushSync();
    expect(seen).toEqual([0, 3, 2, 0]);
    end();
  });
});
