// Tests what the table of rssrv's methods says of rights: what members of the control group may call, what has an id, and what is removed
// from answers to clients. No test here opens a socket. Rules: G21, A1.

import { expect, test } from 'vitest';
import type { Shape } from '@rsio/base/lib/shape';
import type { ServerMethod } from './server-method.ts';
import { SERVER_METHODS } from './server-methods.ts';
import { JOB, POOL, REMOVED, REPLICATION, SNAPSHOT, VOLUME } from '../views/views.ts';

const METHODS: [string, ServerMethod][] = Object.entries(SERVER_METHODS);
const MASKED: Readonly<Record<string, Shape>> = {
  volume: VOLUME,
  snapshot: SNAPSHOT,
  removed: REMOVED,
  job: JOB,
  pool: POOL,
  replication: REPLICATION,
};

function inner({ form }: Shape): readonly Shape[] {
  switch (form.kind) {
    case 'or-null':
    case 'list':
    case 'optional':
    case 'map':
    case 'checked':
      return [form.of];
    case 'object':
      return Object.values(form.fields);
    case 'variants':
      return Object.values(form.kinds).flatMap((fields) => Object.values(fields));
    default:
      return [];
  }
}

/** The masked views in a shape, at any depth. */
function maskedIn(shape: Shape): string[] {
  const own = Object.keys(MASKED).filter((kind) => MASKED[kind]?.form === shape.form);
  return own.length > 0 ? own : inner(shape).flatMap(maskedIn);
}

test('exactly these methods read', () => {
  expect(METHODS.flatMap(([name, { repeats }]) => (repeats === null ? [name] : [])).toSorted()).toEqual([
    'audit',
    'change-show',
    'client-list',
    'daemon',
    'events',
    'farm-show',
    'interface-list',
    'job-list',
    'namespace-show',
    'peer-list',
    'pool-list',
    'readiness',
    'replication-list',
    'stats',
    'volume-diff',
    'volume-list',
    'volume-show',
    'witness-list',
  ]);
});

test('a method has the id of a change exactly if its repetition gets the first answer', () => {
  const ids = METHODS.filter(([, { params }]) => Object.hasOwn(params, 'request'));
  expect(ids.length).toBeGreaterThan(30);
  expect(ids).toEqual(METHODS.filter(([, { repeats }]) => repeats === 'journal'));
});

test('what a client without the right admin may call says how each view of its answer is masked', () => {
  const open = METHODS.filter(([, { right }]) => right !== null && right !== 'admin');
  expect(open.length).toBeGreaterThan(40);
  for (const [name, { result, shows }] of open) {
    const fields: readonly (readonly [string, Shape])[] = result.form.kind === 'object' ? Object.entries(result.form.fields) : [];
    const views = fields.flatMap(([field, shape]) => maskedIn(shape).map((kind) => [field, kind]));
    expect(
      Object.entries(shows ?? {}).filter(([, kind]) => kind !== 'method'),
      name,
    ).toEqual(views);
  }
  const closed = METHODS.filter(([, { right }]) => right === null || right === 'admin');
  expect(closed.filter(([, { shows }]) => shows !== null)).toEqual([]);
});
