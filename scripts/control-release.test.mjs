// Holds the control interfaces of rsiod and rssrv against those of release 0.2.0 (api/src/testing/control-0.2.0.json), because programs
// and daemons of both releases run together while hosts are upgraded. Invariants: what a program of 0.2.0 asks is understood, and what it
// reads from an answer is there, with the types that it knows. A program of this release accepts what a daemon of 0.2.0 answers.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allSchemas, schemaPrograms } from './json-schemas.mjs';
import { ROOT } from './prepare.mjs';

const load = (name, path) => import(join(ROOT, 'packages', name, 'src', `${path}.ts`));
const { programs, version, makers } = await schemaPrograms(load);
const now = allSchemas(programs, version, makers);
const kept = JSON.parse(readFileSync(join(ROOT, 'packages/api/src/testing/control-0.2.0.json'), 'utf8'));

/** What differs on purpose. rsadm of 0.2.0 refuses such an answer to its question before the demotion, which 0.2.0 did not permit. */
const DIFFERS = ['volume-demote.result.momentMs is null'];

/** Types of a kept entry: `string`, `integer`, ..., `#N` (an object, parts[N]), or {list}. */
const typesOf = (type) => (Array.isArray(type) ? type : [type]);
const formsOf = (schema) => schema.anyOf?.flatMap(formsOf) ?? [schema];
const kindOf = (schema) =>
  schema.const === undefined && schema.enum === undefined ? schema.type : typeof (schema.const ?? schema.enum[0]);
const kindOfKept = (type) => (typeof type === 'object' ? 'array' : type.startsWith('#') ? 'object' : type);
/** Each integer is a number. */
const covers = (wide, narrow) => wide === narrow || (wide === 'number' && narrow === 'integer');

/** Where a reader of 0.2.0 misses something in values of `schema`, or finds a type that it does not know. */
function unread(type, schema, place) {
  const known = typesOf(type);
  return formsOf(schema).flatMap((form) => {
    const match = known.find((one) => covers(kindOfKept(one), kindOf(form)));
    if (match === undefined) return [`${place} is ${kindOf(form)}`];
    if (typeof match === 'object') return unread(match.list, form.items ?? {}, `${place}[]`);
    if (!match.startsWith('#') || form.properties === undefined) return [];
    return Object.entries(kept.parts[match.slice(1)]).flatMap(([key, inner]) => {
      const name = key.replace(/\?$/, '');
      const field = form.properties[name];
      const isSure = key.endsWith('?') || (form.required ?? []).includes(name);
      return field === undefined || !isSure ? [`${place}.${name} is missing`] : unread(inner, field, `${place}.${name}`);
    });
  });
}

/** What a request of 0.2.0 may have that a daemon refuses now. */
function refused(type, schema, place) {
  const fields = type === 'object' ? {} : kept.parts[type.slice(1)];
  const names = Object.keys(fields).map((key) => key.replace(/\?$/, ''));
  const added = (schema.required ?? []).filter((name) => !Object.hasOwn(fields, name));
  const gone = names.filter((name) => schema.properties?.[name] === undefined);
  const narrower = Object.entries(fields).flatMap(([key, inner]) => {
    const name = key.replace(/\?$/, '');
    const field = schema.properties?.[name];
    if (field === undefined) return [];
    const kinds = formsOf(field).map(kindOf);
    return typesOf(inner).flatMap((one) =>
      kinds.some((kind) => covers(kind, kindOfKept(one))) ? [] : [`${place}.${name} is not ${kindOfKept(one)}`],
    );
  });
  return [...added.map((name) => `${place}.${name} is required`), ...gone.map((name) => `${place}.${name} is unknown`), ...narrower];
}

/** What a program of this release misses in an answer of 0.2.0. */
function unsent(type, schema, place) {
  return typesOf(type).flatMap((one) => {
    if (typeof one === 'object')
      return formsOf(schema).flatMap(({ items }) => (items === undefined ? [] : unsent(one.list, items, `${place}[]`)));
    if (!one.startsWith('#')) return [];
    const fields = Object.entries(kept.parts[one.slice(1)]);
    const sure = new Set(fields.flatMap(([key]) => (key.endsWith('?') ? [] : [key])));
    // One of several forms must fit; that of the answer is not known here.
    const lacks = formsOf(schema).flatMap(({ properties, required = [] }) =>
      properties === undefined
        ? []
        : [
            [
              ...required.filter((name) => !sure.has(name)).map((name) => `${place}.${name} is not sent`),
              ...fields.flatMap(([key, inner]) => {
                const [name] = key.split('?');
                return properties[name] === undefined ? [] : unsent(inner, properties[name], `${place}.${name}`);
              }),
            ],
          ],
    );
    return lacks.toSorted((a, b) => a.length - b.length)[0] ?? [];
  });
}

test.for([
  ['rsiod', 'control'],
  ['rssrv', 'rsadm-control'],
])('programs of this release work with %s of 0.2.0', ([daemon, schema]) => {
  const { $defs } = now[schema];
  const results = Object.entries(kept[daemon]).filter(([name]) => name.endsWith('.result') && $defs[name] !== undefined);
  expect(results.flatMap(([name, type]) => unsent(type, $defs[name], name))).toEqual([]);
});

test.for([
  ['rsiod', 'control', []],
  ['rssrv', 'rsadm-control', DIFFERS],
])('programs of 0.2.0 work with %s', ([daemon, schema, differs]) => {
  const methods = Object.entries(kept[daemon]);
  expect(methods.length).toBeGreaterThan(70);
  const { $defs } = now[schema];
  const broken = methods.flatMap(([name, type]) => {
    if ($defs[name] === undefined) return [`${name} is gone`];
    return name.endsWith('.params') ? refused(type, $defs[name], name) : unread(type, $defs[name], name);
  });
  expect(broken).toEqual(differs);
});

test('a broken interface is found', () => {
  const text = { type: 'string' };
  const object = (properties, required) => ({ type: 'object', properties, required });
  const entry = kept.rssrv['volume-allow.params'];
  const good = now['rsadm-control'].$defs['volume-allow.params'];
  expect(refused(entry, { ...good, required: [...good.required, 'reason'] }, 'p')).toEqual(['p.reason is required']);
  expect(refused(entry, object({ ...good.properties, name: { type: 'integer' } }, good.required), 'p')).toEqual(['p.name is not string']);
  const { client: _, ...fewer } = good.properties;
  expect(refused(entry, object(fewer, []), 'p')).toEqual(['p.client is unknown']);
  const answer = kept.rssrv['client-unfence.result'];
  expect(unread(answer, object({ name: text }, ['name']), 'r')).toEqual(['r.wasFenced is missing']);
  expect(unread(answer, object({ name: text, wasFenced: { type: 'boolean' } }, ['name']), 'r')).toEqual(['r.wasFenced is missing']);
  const wider = object({ name: { anyOf: [text, { type: 'null' }] }, wasFenced: { type: 'boolean' } }, ['name', 'wasFenced']);
  expect(unread(answer, wider, 'r')).toEqual(['r.name is null']);
  const more = object({ name: text, wasFenced: { type: 'boolean' }, sinceMs: { type: 'number' } }, ['name', 'wasFenced', 'sinceMs']);
  expect(unsent(answer, more, 'r')).toEqual(['r.sinceMs is not sent']);
});
