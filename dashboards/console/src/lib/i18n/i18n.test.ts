import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { en } from './en';
import { zh } from './zh';

const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

describe('the two languages', () => {
  it('have the same keys', () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
  });

  it('have the same places for values in each text', () => {
    for (const [key, text] of Object.entries(en)) {
      expect(places(zh[key as keyof typeof en]), key).toEqual(places(text));
    }
  });

  it('translate every text: what is the same in both is a name, a number or a sign', () => {
    const same = Object.entries(en).filter(([key, text]) => zh[key as keyof typeof en] === text && /[a-z]{4}/i.test(text));
    expect(same).toEqual([]);
  });

  it('leave no text empty', () => {
    for (const [key, text] of [...Object.entries(en), ...Object.entries(zh)]) expect(text.trim(), key).not.toBe('');
  });
});

describe('the pages', () => {
  it('ask for no text that is missing', () => {
    const root = join(import.meta.dirname, '../..');
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(svelte|ts)$/.test(name) && !name.includes('test'));
    for (const file of files) {
      const text = readFileSync(join(root, file), 'utf8');
      for (const [, key] of text.matchAll(/\bt\('([a-z][\w.]*)'/g)) expect(Object.keys(en), `${file} asks for ${key}`).toContain(key);
      // A key that is put together: at least one text begins like it.
      for (const [, start] of text.matchAll(/\bt\(`([\w.]+\.)\$\{/g)) expect(Object.keys(en).some((key) => key.startsWith(start ?? '')), `${file}: ${start}`).toBe(true);
    }
  });
});

describe('the sources', () => {
  const root = join(import.meta.dirname, '../..');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.svelte'));

  it('write no Chinese and no sentence into the pages themselves', () => {
    for (const file of files) {
      const text = readFileSync(join(root, file), 'utf8').replace(/<style[\s\S]*<\/style>/, '').replace(/<!--[\s\S]*?-->/g, '');
      expect(text.replaceAll('简体中文', '').match(/[\u4e00-\u9fff]/), file).toBeNull();
    }
  });
});
