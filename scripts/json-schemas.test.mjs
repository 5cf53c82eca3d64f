// The JSON schemas of the current shapes: they are valid schemas, every command with --json has one, and an independent validator agrees
// with our own check on valid and invalid documents. test/integration/control.test.ts checks the answers of real daemons.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allSchemas, DEFINITIONS, fileNameOf, schemaPrograms, schemasPage, withDefinitions } from './json-schemas.mjs';
import { ROOT } from './prepare.mjs';

const load = (name, path) => import(join(ROOT, 'packages', name, 'src', `${path}.ts`));
const { misfit } = await load('base', 'lib/shape');
const { expectSame } = await load('base', 'testing/quick-expect');
const { programs, version: CONTROL_VERSION, makers } = await schemaPrograms(load);
const complete = allSchemas(programs, CONTROL_VERSION, makers);
const schemas = withDefinitions(complete);
/** Commands of both programs, each with the prefix of its schema's name. */
const COMMANDS = programs.flatMap(({ program, commands }) =>
  commands.map((command) => ({ ...command, prefix: program === 'rsconfig' ? '' : `${program}-` })),
);
/** Makes all validators with one instance, because each instance first compiles the meta-schema. */
const ajv = new Ajv2020({ strict: true });
ajv.addSchema(schemas[DEFINITIONS], `${DEFINITIONS}.json`);
const withJson = COMMANDS.filter(({ json }) => json !== undefined);

test('every command that takes --json has a schema, and the page about them names each', () => {
  expect(COMMANDS.filter(({ options }) => Object.hasOwn(options, 'json')).map(nameOf)).toEqual(withJson.map(nameOf));
  expect(withJson.length).toBeGreaterThan(100);
  const page = schemasPage('# T\n', schemas);
  expect(Object.keys(schemas).filter((name) => !page.includes(`(${name}.json)`))).toEqual([]);
  expect(page).toContain('| rsconfig volume list --json | [volume-list.json](volume-list.json) |');
});

test('docs/CONTROL.md has the bounds and the version as they are', async () => {
  const limits = await load('common', 'control/limits');
  const text = readFileSync(join(ROOT, 'docs/CONTROL.md'), 'utf8').replaceAll('\n', ' ');
  const mib = (bytes) => `${bytes / 2 ** 20} MiB`;
  expect(text).toContain(
    `a request has at most ${mib(limits.CONTROL_LINE_MAX_BYTES)}, and a line of an answer at most ${mib(limits.CONTROL_ANSWER_MAX_BYTES)}`,
  );
  expect(text).toContain(`works on ${limits.CONTROL_REQUESTS_OUT_MAX} requests of a connection at a time`);
  expect(text).toContain(`at most ${limits.CONTROL_CONNECTIONS_MAX} connections`);
  const { SERVER_CALLS_MAX } = await load('rsiod', 'control/limits');
  expect(text).toContain(`passes on ${SERVER_CALLS_MAX} requests to each server at a time`);
  expect(new Set(text.match(/"version": \d+/g))).toEqual(new Set([`"version": ${CONTROL_VERSION}`]));
});

test('with its references followed, each schema is the complete one', () => {
  const { $defs } = schemas[DEFINITIONS];
  const followed = (value) => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(followed);
    const { $ref, ...rest } = value;
    const part = $ref === undefined ? {} : followed($defs[$ref.split('#/$defs/')[1]]);
    return { ...Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, followed(inner)])), ...part };
  };
  for (const [name, schema] of Object.entries(complete)) expect(followed(schemas[name]), name).toEqual(schema);
});

test.each(Object.keys(complete))('%s is a schema of draft 2020-12', (name) => {
  const { $defs, ...rest } = schemas[name];
  for (const schema of $defs === undefined ? [rest] : Object.values($defs)) expect(() => ajv.compile(schema)).not.toThrow();
  expect(ajv.validateSchema(schemas[name])).toBe(true);
});

function nameOf({ prefix, call }) {
  return prefix + fileNameOf(call);
}

function documents({ form }) {
  switch (form.kind) {
    case 'text':
      return fc.string({ minLength: form.isFilled ? 1 : 0, maxLength: 3 });
    case 'word':
      return fc.constantFrom(...form.words);
    case 'number':
      return form.isWhole ? fc.integer({ min: form.min ?? -9, max: form.max ?? 9 }) : fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'flag':
      return fc.boolean();
    case 'or-null':
      return fc.option(documents(form.of));
    case 'list':
      return fc.array(documents(form.of), { maxLength: 2 });
    case 'optional':
      return documents(form.of);
    default: {
      const fields = Object.entries(form.fields);
      const requiredKeys = fields.flatMap(([name, shape]) => (shape.form.kind === 'optional' ? [] : [name]));
      return fc.record(Object.fromEntries(fields.map(([name, shape]) => [name, documents(shape)])), { requiredKeys });
    }
  }
}

/** Returns the document with one change: a field is removed, replaced or added. */
function damaged(document, path, change) {
  const copy = structuredClone(document);
  let at = copy;
  for (const step of path) {
    const keys = Object.keys(at);
    if (keys.length === 0) break;
    const key = keys[step % keys.length];
    if (typeof at[key] === 'object' && at[key] !== null && Object.keys(at[key]).length > 0) {
      at = at[key];
      continue;
    }
    if (change === 'remove' && !Array.isArray(at)) delete at[key];
    else at[key] = change === 'remove' ? {} : change;
    return copy;
  }
  at.later = 1;
  return copy;
}

describe.each(withJson.map((command) => [nameOf(command), command.json]))('%s', (name, shape) => {
  const validate = ajv.compile(schemas[name]);

  test('its documents pass the schema and our own check', () => {
    const good = (document) => {
      expectSame(misfit(shape, document, 'exactly'), null);
      const isGood = validate(document);
      if (!isGood) expect(isGood, JSON.stringify(validate.errors)).toBe(true);
    };
    fc.assert(fc.property(documents(shape), good), { numRuns: 50 });
  });

  test('what one of the two refuses, the other refuses too', () => {
    const changes = fc.constantFrom('remove', null, -1, 1.5, 'x', '', true, [], {});
    const agree = (document, path, change) => {
      const bad = damaged(document, path, change);
      const [isGood, refusal] = [validate(bad), misfit(shape, bad)];
      if (isGood !== (refusal === null)) expect(isGood, refusal ?? JSON.stringify(validate.errors)).toBe(refusal === null);
    };
    fc.assert(fc.property(documents(shape), fc.array(fc.nat(20), { minLength: 6, maxLength: 6 }), changes, agree), { numRuns: 200 });
  });
});
