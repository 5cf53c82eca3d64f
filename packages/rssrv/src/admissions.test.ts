// Which proven client gets a session, with a file of holders and processes that do what a test tells them. Here: in which order an old
// instance is replaced (docs/PROTOCOL.md H4). Real processes and sockets are left to the integration tests.

import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { Proven } from '@rsio/protocol/auth/handshake-server';
import type { Log } from '@rsio/protocol/lib/log';
import { FrequentLog } from '@rsio/protocol/lib/frequent-log';
import { FakeClock } from '@rsio/protocol/testing/fake-clock';
import { type AdmissionPorts, Admissions } from './admissions.ts';
import { AT } from './testing/raw-client.ts';
import type { Place } from './place.ts';

const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined } as unknown as Log;

/** A place that says what is done to it, and is over at once when it is told to end. */
function place(name: string, said: string[]): Place {
  let gone: () => void = () => undefined;
  const ended = new Promise<boolean>((resolve) => {
    gone = () => resolve(true);
  });
  const end = async (code: string): Promise<void> => {
    said.push(`${name} is told ${code}`);
    gone();
    await ended;
  };
  return { usable: Promise.resolve(), ended, gone: false, pid: 1, tell: () => undefined, kill: () => undefined, end } as unknown as Place;
}

function proven(instance: number): Proven {
  const hello = { node: 'big-2', instance, machine: 'm', boot: 'b', process: 'p' };
  return { kind: 'new', hello, features: [], proof: { dead: [] }, sessionSecret: Buffer.alloc(32) } as unknown as Proven;
}

test('an old instance is told that it is replaced when that is durable, since it believes it for ever', async () => {
  const said: string[] = [];
  const notes: (() => void)[] = [];
  const holders = {
    isCurrent: () => true,
    lastHolding: () => null,
    mayReplace: () => true,
    noteInstance: ({ instance }: { instance: number }) =>
      new Promise<void>((resolve) => {
        notes.push(() => {
          said.push(`instance ${instance} is kept`);
          resolve();
        });
      }),
  };
  let started = 0;
  const clock = new FakeClock();
  const ports = {
    clock,
    log: LOG,
    lines: new FrequentLog(clock, LOG),
    holders,
    takePlace: () => place(`session ${++started}`, said),
    beginMessage: () => ({ type: 'end', code: '', sentence: '' }),
    isClient: () => true,
    sessionEnded: () => Promise.resolve(),
    refuse: (_socket: Socket, _proven: Proven, error: Error) => said.push(error.message),
  } as unknown as AdmissionPorts;
  const admissions = new Admissions(ports);
  const socket = { remoteAddress: '127.45.0.1' } as Socket;

  admissions.admit(socket, proven(1), AT);
  notes.shift()?.();
  await expect.poll(() => admissions.sessions.length).toBe(1);
  admissions.admit(socket, proven(2), AT);
  await expect.poll(() => notes.length).toBe(1);
  expect(said).toEqual(['instance 1 is kept']);
  notes.shift()?.();
  await expect.poll(() => started).toBe(2);
  expect(said).toEqual(['instance 1 is kept', 'instance 2 is kept', 'session 1 is told E_REPLACED']);
});
