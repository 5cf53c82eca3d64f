// Drives all applications of a node with a fake rsiod, a fake machine and a fake clock: what happens to them when the machine goes down, and
// which orders are refused at once. The orders for one application are tested in app-runner.test.ts.

import { beforeEach, expect, it } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { parseNote } from '../decider/note.ts';
import { LEAVE_MAX_MS } from '../limits.ts';
import { APP, FakeNode } from '../testing/fake-node.ts';
import type { Sight } from '../sight/rsiod-sight.ts';
import { Desk } from './desk.ts';

let fake: FakeNode;
let desk: Desk;
let errors: string[];
let sight: Sight;

beforeEach(async () => {
  fake = new FakeNode();
  errors = [];
  const { clock } = fake;
  sight = fake.sight();
  desk = new Desk([APP], {
    clock,
    log: { info: () => undefined, warn: () => undefined, error: (sentence) => errors.push(sentence) },
    sight,
    machineOf: () => fake.machine(),
    isDrained: () => false,
    setDrained: () => Promise.resolve(),
    nodename: () => 'a',
    tell: () => undefined,
  });
  fake.silentMs = { b: 0 };
  desk.start();
  await seconds(3);
  fake.did.length = 0;
});

/** Lets time pass in seconds, with everything that follows. */
async function seconds(count: number): Promise<void> {
  for (let second = 0; second < count; second++) {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    fake.clock.advance(1000);
  }
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

it('a service that systemd ends before the machine goes down is no failure', async () => {
  desk.pause();
  fake.service = 'stopped';
  await seconds(3);
  expect(fake.did).toEqual([]);
  const left = desk.leave();
  await seconds(5);
  await left;
  expect(fake.did).toEqual(['note', 'down orderly', 'detach wal', 'detach db']);
  expect(parseNote(fake.note, 'pg')).toMatchObject({ started: true, preferred: 'b', failures: [] });
});

it('a machine that goes down gives its applications away in order, and takes none', async () => {
  const left = desk.leave();
  await seconds(5);
  await left;
  expect(fake.did).toEqual(['note', 'down orderly', 'detach wal', 'detach db']);
  await seconds(60);
  expect(fake.holder).toBeNull();
  expect(errors).toEqual([]);
});

it('what does not leave in time is named', async () => {
  fake.failing.add('down orderly');
  const left = desk.leave();
  await seconds(LEAVE_MAX_MS / 1000 + 10);
  await left;
  expect(errors.at(-1)).toBe('pg is still here (down orderly failed): the machine goes down all the same');
});

it('an order that cannot be carried out here is refused at once, also before the first look', async () => {
  const message = 'systemd does not answer on this machine';
  fake.machineError = new RsError('E_SYSTEM', message);
  desk.follow([APP, { ...APP, name: 'new' }]);
  const refused = expect(desk.order('new', 'start', null)).rejects.toMatchObject({ code: 'E_SYSTEM', message });
  await seconds(3);
  await refused;
});

it('an order for a section that is removed before its first look is answered', async () => {
  sight.volumes = () => new Promise(() => undefined);
  await seconds(1);
  desk.follow([APP, { ...APP, name: 'new' }]);
  const refused = expect(desk.order('new', 'start', null)).rejects.toMatchObject({ code: 'E_USAGE' });
  desk.follow([APP]);
  await seconds(2);
  await refused;
});

it('what rsiod said before an order ended says nothing about the time after it', async () => {
  let release: () => void = () => undefined;
  let answer: () => void = () => undefined;
  Object.assign(fake, { service: 'stopped', restarting: new Promise<void>((resolve) => (release = resolve)) });
  await seconds(1);
  sight.volumes = async () => {
    await new Promise<void>((resolve) => (answer = resolve));
    return { attached: [], awaited: [] };
  };
  await seconds(1);
  release();
  await seconds(0);
  sight.volumes = () => Promise.resolve(fake.volumes());
  answer();
  await seconds(2);
  expect(fake.did).toEqual(['note', 'restart']);
});
