// Tests which request each order becomes, refusals before a daemon is asked, confirmations, and log lines with the name of the token. Also
// tests that pages do not wait for an order that hangs.

import { beforeEach, describe, expect, test } from 'vitest';
import type { WebRight } from '../config/rights.ts';
import type { Log } from '@rsio/base/log/log';
import { quietLog } from '@rsio/base/log/log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { samplePicture } from '../testing/sample-picture.ts';
import { Desk, type Outcome } from './desk.ts';
import { ORDER_SHOWN_MS, ORDERS_MAX } from '../limits.ts';
import type { Giver, OrderKind } from './order.ts';

const ANNA: Giver = { by: 'rsweb token anna', role: 'operator' };
import { orderTable } from './order-table.ts';

const picture = samplePicture();
const local = picture.machines.find(({ isLocal }) => isLocal)?.id;
const own = new Set(picture.servers.filter(({ machine }) => machine === local).map(({ id }) => id));
const [here, far] = [picture.volumes.find(({ server }) => own.has(server)), picture.volumes.find(({ server }) => !own.has(server))];

let clock = new FakeClock();
let said: string[] = [];
let ran: string[] = [];
const log: Log = { ...quietLog, info: (line) => void said.push(line), warn: (line) => void said.push(line) };

beforeEach(() => {
  clock = new FakeClock();
  said = [];
  ran = [];
});

function kind(run: (by: Giver) => Promise<void>, isAsked = false): OrderKind {
  const confirm = isAsked ? { verb: 'Remove', consequence: 'It is gone.' } : null;
  return { needs: 'operate', confirm, prepare: () => ({ object: 'volume a@0', done: 'Volume a@0 is removed', href: '/', run }) };
}

function deskOf(orders: Readonly<Record<string, OrderKind>>): Desk {
  return new Desk(orders, { ownPicture: () => picture, renew: () => void ran.push('changed') }, clock, log);
}

function take(desk: Desk, name: string, fields: Record<string, string> = {}): Promise<Outcome> {
  return desk.take(name, new URLSearchParams(fields), { name: 'anna', rights: 'operate' });
}

describe('the desk', () => {
  test('carries an order out for a token, which the log and the daemon are told', async () => {
    const desk = deskOf({ remove: kind(async ({ by, role }) => void ran.push(`${by} as ${role}`)) });
    const outcome = await take(desk, 'remove');
    expect(outcome).toMatchObject({ kind: 'done', href: '/', text: 'Done: Volume a@0 is removed', isDone: true });
    expect(ran).toEqual(['rsweb token anna as operator', 'changed']);
    expect(said).toEqual(['Token anna orders remove: Volume a@0 is removed', 'Order remove of token anna is done: Volume a@0 is removed']);
    expect(desk.notice(outcome.kind === 'done' ? outcome.notice : null)).toBe('Done: Volume a@0 is removed');
    expect([desk.notice('x'), desk.notice(null)]).toEqual([null, null]);
  });

  test('asks again before something is destroyed, with the same fields', async () => {
    const desk = deskOf({ remove: kind(async ({ by, role }) => void ran.push(`${by} as ${role}`), true) });
    const outcome = await take(desk, 'remove', { volume: 'v', csrf: 'secret' });
    expect(outcome).toMatchObject({
      kind: 'confirm',
      confirmation: { title: 'Remove volume a@0', fields: { volume: 'v' }, action: '/orders/remove', href: '/volume/v' },
    });
    expect(ran).toEqual([]);
    expect(await take(desk, 'remove', { volume: 'v', confirm: 'volume a@0' })).toMatchObject({ kind: 'done', isDone: true });
  });

  test('asks again if the answer was about another object, which has taken this place since', async () => {
    const desk = deskOf({ remove: kind(async ({ by, role }) => void ran.push(`${by} as ${role}`), true) });
    for (const confirm of ['volume b@0', 'yes', ''])
      expect(await take(desk, 'remove', { volume: 'v', confirm })).toMatchObject({ kind: 'confirm' });
    expect(ran).toEqual([]);
  });

  test('says why an order has failed, and knows no other orders', async () => {
    const desk = deskOf({ remove: kind(() => Promise.reject(new Error('Volume a is held: detach it'))) });
    expect(await take(desk, 'remove')).toMatchObject({ text: 'Not done: Volume a is held: detach it', isDone: false });
    expect(said.at(-1)).toBe('Order remove of token anna has failed: Volume a is held: detach it');
    for (const name of ['other', '__proto__', 'constructor']) expect(await take(desk, name)).toEqual({ kind: 'unknown' });
  });

  test('lets a page go on when an order hangs, and bounds those that do', async () => {
    const desk = deskOf({ remove: kind(() => new Promise(() => {})) });
    const hanging = Array.from({ length: ORDERS_MAX }, () => take(desk, 'remove'));
    expect(await take(desk, 'remove')).toMatchObject({ text: `Not done: ${ORDERS_MAX} orders run already: try again` });
    clock.advance(ORDER_SHOWN_MS);
    expect((await Promise.all(hanging)).map((outcome) => outcome.kind)).toEqual(hanging.map(() => 'done'));
  });
});

describe('an order', () => {
  /** Key: a method with which a daemon is queried before an order. Value: the daemon's answer. */
  let answers: Readonly<Record<string, unknown>> = {};
  let asked: string[] = [];
  const answer = (method: string, params: object): Promise<never> => {
    asked.push(`${method} ${JSON.stringify(params)}`);
    return Promise.resolve((answers[method] ?? { outcomes: [] }) as never);
  };
  const orders = orderTable({ server: answer, client: answer, app: answer });
  const prepare = (name: string, fields: Record<string, string>) => orders[name]?.prepare({ get: (key) => fields[key] ?? '' }, picture);

  beforeEach(() => {
    asked = [];
  });

  test.each([
    ['volume-remove', ''],
    ['volume-grow', '1t'],
    ['volume-stop', ''],
  ])('%s goes to the volume that was seen, and not to another one that has its name now', async (name, size) => {
    const work = prepare(name, { volume: here?.id ?? '', size });
    answers = { 'volume-show': { volume: { id: 'another' } } };
    await expect(work?.run(ANNA)).rejects.toThrow(/is another one now: load the page again/);
    expect(asked).toEqual([`volume-show {"name":"${here?.name}","universe":0}`]);
    answers = { 'volume-show': { volume: { id: here?.id } } };
    await work?.run(ANNA);
    expect(asked.at(-1)).toMatch(new RegExp(`^${name} `));
  });

  test.each(['attach', 'detach'])('%s goes to the volume with this id, as rsiod calls it', async (name) => {
    const isHere = { ...picture, clients: picture.clients.map((one) => ({ ...one, machine: local ?? null })) };
    const work = orders[name]?.prepare({ get: () => far?.id ?? '' }, isHere);
    const known = (id: string): void => {
      const one = { namespace: 'oslo', name: far?.name, universe: 0, id };
      answers = { query: { namespaces: [{ name: 'oslo', servers: [{ name: 'x', volumes: [one] }] }] }, local: { attachments: [one] } };
    };
    known('another');
    await expect(work?.run(ANNA)).rejects.toThrow(/is another one now/);
    expect(asked.some((line) => line.startsWith(name))).toBe(false);
    known(far?.id ?? '');
    await work?.run(ANNA);
    expect(asked.at(-1)).toContain(`${name} {"names":["oslo:${far?.name}@0"]`);
  });

  test.each([
    ['volume-grow', { size: '1t' }, 'is grown'],
    ['volume-rename', { newName: 'other' }, 'is called other'],
    ['volume-snapshot', { snapshot: 'monday' }, 'has snapshot monday'],
    ['volume-set', { iops: '100', clients: 'a,b' }, 'is changed (clients=a,b iops=100)'],
    ['volume-pause', { for: '10s' }, 'is paused'],
    ['volume-pause', { for: '' }, 'is paused'],
    ['volume-resume', {}, 'goes on'],
    ['volume-stop', {}, 'is stopped'],
    ['volume-start', {}, 'is started'],
    ['volume-remove', {}, 'is removed'],
  ])('%s about a volume of this machine can be carried out', (name, fields, done) => {
    expect(prepare(name, { volume: here?.id ?? '', ...fields })?.done).toBe(`Volume ${here?.name}@${here?.universe} ${done}`);
  });

  test('is permitted to a token as the entry of its method says, and to one of release 0.2.0 as before', () => {
    const desk = deskOf(orders);
    const barred = (rights: WebRight): string[] => Object.keys(orders).filter((name) => desk.permits(name, rights) !== true);
    const ofAdmins = ['volume-pause', 'volume-resume', 'volume-stop', 'volume-start', 'client-kick'];
    expect(barred('operate').toSorted()).toEqual(ofAdmins.toSorted());
    expect([barred('admin'), barred('manage'), barred('view').length]).toEqual([[], [], Object.keys(orders).length]);
    expect([desk.permits('other', 'admin'), desk.permits('__proto__', 'admin')]).toEqual([null, null]);
  });

  test('is asked for again if programs notice it: of those that hold I/O, only a stop is', () => {
    const halts = ['volume-pause', 'volume-resume', 'volume-stop', 'volume-start'];
    expect(halts.filter((name) => orders[name]?.confirm !== null)).toEqual(['volume-stop']);
  });

  test.each([
    ['app-start', {}, 'is started on this machine', { order: 'start', to: null }],
    ['app-stop', { to: 'db-02' }, 'is stopped', { order: 'stop', to: null }],
    ['app-move', { to: 'db-02' }, 'is moved', { order: 'move', to: 'db-02' }],
    ['app-move', { to: '' }, 'is moved', { order: 'move', to: null }],
    ['app-disable', {}, 'is disabled', { order: 'disable', to: null }],
  ])('%s goes to rsapp: %j', async (name, fields, done, order) => {
    const work = prepare(name, { client: 'db-01', application: 'db-01:ledger', ...fields });
    expect(work).toMatchObject({ done: `Application ledger ${done}`, href: '/client/db-01' });
    await work?.run(ANNA);
    expect(asked).toEqual([`app-order ${JSON.stringify({ name: 'ledger', ...order })}`]);
  });

  test.each([
    ['job-cancel', {}, 'is being cancelled', {}],
    ['job-limit', { limit: '100m' }, 'copies at most 100m in a second', { limitBytes: 100 * 1024 ** 2 }],
    ['job-limit', { limit: 'none' }, 'copies without limit', { limitBytes: null }],
  ])('%s goes to the job: %j', async (name, fields, done, params) => {
    const work = prepare(name, { work: 'server:atlas:job 7', ...fields });
    expect(work).toMatchObject({ object: 'job 7', done: `Job 7 ${done}`, href: '/server/atlas' });
    await work?.run(ANNA);
    const [method, text] = /^(\S+) (.*)$/.exec(asked[0] ?? '')?.slice(1) ?? [];
    expect([method, JSON.parse(text ?? '')]).toEqual([name, { id: '7', ...params, request: expect.any(String) as string }]);
  });

  describe('of a replication', () => {
    const [out] = picture.replications.filter(({ server }) => own.has(server));
    const follower = { ...out!, direction: 'in', peer: 'paris', ageMs: 42_400, backlogBytes: 3 * 1024 ** 2 } as const;
    const here = { ...picture, replications: [follower] };
    const work = (name: string, fields: Record<string, string> = {}, at: typeof picture = here) =>
      orders[name]?.prepare({ get: (key) => ({ replication: follower.id, ...fields })[key] ?? '' }, at);
    const listed = (id: string, direction: string): void => {
      answers = { 'replication-list': { replications: [{ id, direction, volumes: [{ name: 'web-002', universe: 0, sizeBytes: 1 }] }] } };
    };
    const ownId = follower.id.split(':').at(-1) ?? '';

    test.each([
      ['volume-drill', { suffix: '-test' }, { suffix: '-test' }],
      ['volume-promote', {}, { from: null }],
      ['volume-reverse', {}, { client: null, reversible: null, cancel: false }],
    ])('%s goes to the volumes that it has now, and to no other replication', async (name, fields, params) => {
      listed('another', 'in');
      await expect(work(name, fields)?.run(ANNA)).rejects.toThrow(/no such replication any more/);
      listed(ownId, 'out');
      await expect(work(name, fields)?.run(ANNA)).rejects.toThrow(/no such replication any more/);
      expect(asked.every((line) => line.startsWith('replication-list '))).toBe(true);
      listed(ownId, 'in');
      await work(name, fields)?.run(ANNA);
      const [method, text] = /^(\S+) (.*)$/.exec(asked.at(-1) ?? '')?.slice(1) ?? [];
      const request = expect.any(String) as string;
      expect([method, JSON.parse(text ?? '')]).toEqual([name, { volumes: [{ name: 'web-002', universe: 0 }], ...params, request }]);
    });

    test('the question before a promotion says what would be lost, and that before a reverse that nothing is', () => {
      expect(orders['volume-promote']?.confirm).not.toBeNull();
      expect(work('volume-promote')?.consequence).toMatch(
        /^Writes of at least the last 43s at paris are lost here, of which 3\.0M are known/,
      );
      const never = { ...here, replications: [{ ...follower, ageMs: null, backlogBytes: 0 }] };
      expect(work('volume-promote', {}, never)?.consequence).toMatch(/^The followers have no moment yet, so that the server will refuse\./);
      expect(work('volume-reverse')?.consequence).toMatch(/^Nothing is lost/);
      expect(orders['volume-drill']?.confirm).toBeNull();
    });

    test('a source is promoted nowhere, and followers of another machine are not promoted here', () => {
      expect(() => work('volume-promote', {}, picture)).toThrow(/The followers of .* are at berlin: give the order there/);
      const far = { ...here, replications: [{ ...follower, server: 'rhea' }] };
      expect(() => work('volume-promote', {}, far)).toThrow(/is not on this machine/);
    });
  });

  test('a drain is asked for again, as is all that programs notice; its end is not', async () => {
    await prepare('node-drain', { client: 'db-01' })?.run(ANNA);
    await prepare('node-drain-end', { client: 'db-01' })?.run(ANNA);
    expect(asked).toEqual(['drain {"end":false}', 'drain {"end":true}']);
    const names = ['app-start', 'app-stop', 'app-move', 'app-enable', 'app-disable', 'node-drain', 'node-drain-end'];
    expect(names.filter((name) => orders[name]?.confirm !== null)).toEqual(['app-stop', 'app-move', 'app-disable', 'node-drain']);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['app-start', { application: 'db-02:ledger' }, /no such application on this machine/],
    ['node-drain', { client: 'db-02' }, /No rsapp of this node runs on this machine/],
    ['volume-grow', { volume: 'none', size: '1t' }, /no such volume any more/],
    ['volume-grow', { volume: far?.id ?? '', size: '1t' }, /is not on this machine: give the order at the rsweb of its server/],
    ['volume-grow', { volume: here?.id ?? '', size: 'much' }, /size/],
    ['volume-rename', { volume: here?.id ?? '', newName: 'a b' }, /name/],
    ['volume-pause', { volume: here?.id ?? '', for: 'long' }, /duration/],
    ['volume-stop', { volume: far?.id ?? '' }, /is not on this machine/],
    ['volume-set', { volume: here?.id ?? '' }, /No setting is given/],
    ['client-kick', { client: 'nobody' }, /no such client any more/],
    ['job-cancel', { work: 'server:atlas:job 9' }, /no such job any more/],
    ['job-cancel', { work: 'client:db-01:resync osl:mail-004@0 rhea' }, /is no job of a server/],
    ['job-limit', { work: 'server:atlas:job 7', limit: 'much' }, /size/],
    ['volume-create', { server: 'none', name: 'a', size: '1g' }, /no such server any more/],
  ])('%s is refused before a daemon is asked: %j', (name, fields, trouble) => {
    expect(() => prepare(name, fields)).toThrow(trouble);
  });
});
