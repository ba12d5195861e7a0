// @vitest-environment node
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import openapi, { astToString } from 'openapi-typescript';
import { expect, it } from 'vitest';

it('the types of the API are those of the OpenAPI document that is checked in (npm run api)', async () => {
  const document = new URL(`file://${join(import.meta.dirname, '../../../../../docs/openapi.json')}`);
  const types = astToString(await openapi(document));
  expect(readFileSync(join(import.meta.dirname, 'schema.d.ts'), 'utf8')).toContain(types.trim());
});
