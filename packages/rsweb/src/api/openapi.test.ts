// Tests the OpenAPI document: an independent linter finds nothing, every schema is one of draft 2020-12 and accepts what the daemons accept,
// and the document has each operation of the tables.

import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { neededOf, sampleOf } from '../testing/sample-values.ts';
import { openApi } from './openapi.ts';
import { OPERATIONS } from './operations.ts';

interface Described {
  readonly operationId: string;
  readonly parameters: readonly { readonly name?: string; readonly schema?: object; readonly content?: object }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<Record<string, unknown>>;
  readonly 'x-rsio-role': string;
  readonly 'x-rsio-right'?: string | null;
}

const document = openApi('1.2.3') as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
};
const all = Object.values(OPERATIONS).flatMap((operations) => [...operations.values()]);
const described = new Map(Object.values(document.paths).flatMap((path) => Object.values(path).map((one) => [one.operationId, one])));

test('a linter that nobody here wrote finds nothing', async () => {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const lint = (text: string): Promise<{ readonly ruleId: string }[]> => lintFromString({ source: text, config });
  expect(await lint(JSON.stringify(document))).toEqual([]);
  const broken = JSON.stringify(document).replace('"openapi":"3.1.0"', '"openapi":"3.1.0","nonsense":1');
  expect((await lint(broken)).map(({ ruleId }) => ruleId)).toEqual(['struct']);
});

test('each operation of the tables is described once, with its method, its role and its right', () => {
  expect([...described.keys()].toSorted()).toEqual(all.map(({ place, method }) => `${place}-${method}`).toSorted());
  for (const { place, method, isRead, role, entry } of all) {
    const path = document.paths[place === 'servers' ? `/servers/{server}/${method}` : `/${place}/${method}`];
    expect(Object.keys(path ?? {})).toEqual([isRead ? 'get' : 'post']);
    const one = described.get(`${place}-${method}`);
    expect([one?.['x-rsio-role'], one?.['x-rsio-right']]).toEqual([role, 'right' in entry ? entry.right : undefined]);
  }
});

test('each schema is valid, and accepts what fits the shape', () => {
  const ajv = new Ajv2020({ strict: true, strictTypes: false });
  for (const { place, method, isRead, params, entry } of all) {
    const name = `${place === 'servers' ? 'server' : place}-${method}`;
    expect(ajv.validate(document.components.schemas[name] ?? false, sampleOf(entry.result)), name).toBe(true);
    const body = described.get(`${place}-${method}`)?.requestBody;
    const accepts = ajv.compile(body?.content['application/json']?.schema ?? {});
    expect(body === undefined, name).toBe(isRead);
    if (isRead) continue;
    expect(accepts(neededOf(params)), name).toBe(true);
    expect(accepts({ ...neededOf(params), request: 'id' }), name).toBe(false);
  }
});

test('what a query may have is described: lists repeat, null is empty, and an object is JSON', () => {
  const parametersOf = (id: string) => described.get(id)?.parameters ?? [];
  expect(parametersOf('server-volume-show')).toMatchObject([
    { name: 'name', in: 'query', required: true, schema: { type: 'string', minLength: 1 } },
    { name: 'universe', required: false, schema: { type: 'integer', minimum: 0, default: 0 } },
  ]);
  expect(parametersOf('server-audit').find(({ name }) => name === 'volume')).toMatchObject({ content: { 'application/json': {} } });
  expect(parametersOf('servers-volume-list').slice(0, 2)).toEqual([
    { $ref: '#/components/parameters/server' },
    { $ref: '#/components/parameters/namespace' },
  ]);
  expect(parametersOf('server-volume-create')).toEqual([{ $ref: '#/components/parameters/orderId' }]);
  expect(Object.keys(described.get('server-volume-move')?.responses ?? {})).toEqual(['200', '202', '4XX', '5XX']);
});
