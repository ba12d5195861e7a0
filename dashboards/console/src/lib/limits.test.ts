import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { en } from './i18n/en';
import { keysOf } from './limits';

const root = join(import.meta.dirname, '../../../..');
const source = readFileSync(join(root, 'crates/broker/src/limit.rs'), 'utf8');
const names = [...source.matchAll(/^ {4}\w+ = "(\w+)",$/gm)].map(([, name]) => name ?? '');

describe('limits of the embedded broker', () => {
  it('each have words, and no others do', () => {
    const known = Object.keys(en).filter((key) => key.startsWith('limit.'));
    expect(known.sort()).toEqual(names.map((name) => `limit.${name}`).sort());
  });

  it('are raised by keys that the configuration has', () => {
    const config = readFileSync(join(root, 'crates/sanimon/src/config/broker_limits.rs'), 'utf8');
    for (const key of names.flatMap(keysOf)) expect(config, key).toContain(`"${key}"`);
  });
});
