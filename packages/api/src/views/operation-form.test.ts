// Tests that every operation of the tables can be entered in a form, and that each text leads to a value that fits, or to an error that names
// the parameter.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkedParams } from '@rsio/common/control/control-server';
import { flagParam } from '@rsio/common/control/method-table';
import { toRsError } from '@rsio/base/lib/errors';
import { filledText, list, misfit, orNull, record, text, word } from '@rsio/base/lib/shape';
import { APP_METHODS } from '../rsapp/app-methods.ts';
import { CONTROL_METHODS } from '../rsiod/methods.ts';
import { SERVER_METHODS } from '../rssrv/server-methods.ts';
import type { Params } from './command-text.ts';
import { fieldsOf, valuesOf } from './operation-form.ts';

const entries = [SERVER_METHODS, CONTROL_METHODS, APP_METHODS].flatMap((table): (readonly [string, Params])[] =>
  Object.entries(table).map(([method, { params }]) => [method, params]),
);

function entered(params: Params, texts: Readonly<Record<string, string>>): unknown {
  return valuesOf(fieldsOf(params), texts);
}

test('the id of an order is no field, and every other parameter is one', () => {
  const names = fieldsOf(SERVER_METHODS['volume-grow'].params).map(({ name }) => name);
  expect(names).toEqual(['name', 'universe', 'sizeBytes', 'pool', 'mirror']);
});

test('each kind of field, its default and its choices', () => {
  const params: Params = {
    name: { shape: filledText(), what: 'a name' },
    note: { shape: text(), what: 'a text' },
    force: flagParam,
    take: { shape: word(['no', 'over']), what: 'no or over', default: 'no' },
    clients: { shape: orNull(list(filledText())), what: 'names or null', default: null },
    settings: { shape: list(filledText()), what: 'KEY=VALUE', default: ['a=1', 'b=2'] },
    more: { shape: record(), what: 'an object', default: {} },
  };
  const shown = fieldsOf(params).map(({ name, kind, isRequired, preset, choices }) => [name, kind, isRequired, preset, choices.join()]);
  expect(shown).toEqual([
    ['name', 'text', true, '', ''],
    ['note', 'text', false, '', ''],
    ['force', 'flag', false, 'false', 'true,false'],
    ['take', 'choice', false, 'no', 'no,over'],
    ['clients', 'list', false, '', ''],
    ['settings', 'list', false, 'a=1 b=2', ''],
    ['more', 'json', false, '{}', ''],
  ]);
  expect(entered(params, {})).toEqual({ note: '', clients: null });
  const texts = { name: ' db ', force: 'true', take: 'over', clients: 'big-2, venus', settings: '["c=x, y"]', more: '{"a":1}' };
  const values = { name: 'db', note: '', force: true, take: 'over', clients: ['big-2', 'venus'], settings: ['c=x, y'], more: { a: 1 } };
  expect(entered(params, texts)).toEqual(values);
  expect(entered(params, { clients: '[]' })).toMatchObject({ clients: [] });
  const { names } = CONTROL_METHODS.detach.params;
  expect([entered({ names }, {}), entered({ names }, { names: '[]' })]).toEqual([{}, { names: [] }]);
});

test('sizes, durations and volumes are written as people write them', () => {
  const { 'volume-create': create, 'volume-pause': pause, 'volume-reverse': reverse, 'volume-snapshot': snapshot, audit } = SERVER_METHODS;
  expect(entered(create.params, { sizeBytes: '20g', blockSizeBytes: '4096' })).toMatchObject({
    sizeBytes: 20 * 1024 ** 3,
    blockSizeBytes: 4096,
  });
  expect(entered(pause.params, { forMs: '2m' })).toMatchObject({ forMs: 120_000 });
  expect(entered(pause.params, { forMs: '5000' })).toMatchObject({ forMs: 5_000 });
  const [db, log] = [
    { name: 'db', universe: 1 },
    { name: 'log', universe: 0 },
  ];
  expect(entered(reverse.params, { volumes: 'db@1 log' })).toMatchObject({ volumes: [db, log] });
  expect(entered(audit.params, { volume: 'db@1' })).toMatchObject({ volume: db });
  expect(entered(audit.params, { volume: '{"name":"db","universe":1}' })).toMatchObject({ volume: db });
  expect(entered(snapshot.params, { snapshots: 'db@1@monday log@monday' })).toMatchObject({
    snapshots: [db, log].map((volume) => ({ ...volume, snapshot: 'monday' })),
  });
  expect(fieldsOf(snapshot.params)[0]?.what).toContain('such as oracle@1@monday');
});

test('any texts give parameters that fit, or an error that names the parameter', () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom('', '0', '-1', '20g', '9'.repeat(400), 'true', 'null', '[]', '{', 'db@1', 'db@1@x', ','),
  );
  let good = 0;
  fc.assert(
    fc.property(fc.constantFrom(...entries), fc.array(word, { minLength: 16, maxLength: 16 }), ([method, params], words) => {
      const fields = fieldsOf(params);
      const texts = Object.fromEntries(fields.map(({ name }, index) => [name, words[index] ?? '']));
      try {
        const values = checkedParams(method, params, valuesOf(fields, texts));
        for (const [name, { shape }] of Object.entries(params)) expect(misfit(shape, values[name], 'exactly')).toBeNull();
        good++;
      } catch (thrown) {
        expect(Object.keys(params)).toContain(toRsError(thrown).context['parameter']);
      }
    }),
    { numRuns: 2_000 },
  );
  expect(good).toBeGreaterThan(100);
});

test.each(entries)('%s: what is not required may be left empty, and what is required may not', (method, params) => {
  const isAccepted = (name: string, param: Params[string]): boolean => {
    const one = { [name]: param };
    try {
      checkedParams(method, one, entered(one, {}));
      return true;
    } catch {
      return false;
    }
  };
  for (const { name, param, isRequired } of fieldsOf(params)) expect([name, isAccepted(name, param)]).toEqual([name, !isRequired]);
});
