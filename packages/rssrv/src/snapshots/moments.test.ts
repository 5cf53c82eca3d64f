// Tests moments with simulated sessions, copies and time: messages, refusals and log lines. moment-plan.test.ts tests the order of events,
// and session-held.test.ts tests the session's side of the messages. Rules: G26.

import { RsError } from '@rsio/base/lib/errors';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { beforeEach, expect, test } from 'vitest';
import type { HoldMessage } from './hold-messages.ts';
import { CLONE_MAX_MS, GUARD_CHUNKS_MAX, GUARDING_MAX, HOLD_LIMIT_MS, HOLD_MAX_MS, MOMENT_VOLUMES_MAX, MOMENT_WAIT_MS } from './limits.ts';
import { type MomentSession, Moments } from './moments.ts';

interface Clone {
  readonly volumeId: string;
  readonly chunk: number;
  ends(error?: Error): Promise<void>;
}

let clock: FakeClock;
let moments: Moments;
let sessions: MomentSession[];
/** Messages to sessions, as text. */
let sent: string[];
let logged: string[];
let clones: Clone[];
let incarnation: string;
let unsettled: string | null;
let synced: string[];
let syncError: Error | null;
let outcome: string;

beforeEach(() => {
  clock = new FakeClock();
  [sessions, sent, logged, clones, synced] = [[], [], [], [], []];
  [incarnation, unsettled, syncError, outcome] = ['one', null, null, 'not yet'];
  // A line with an event would start triggers at each moment of a replication.
  const note = (line: string, fields?: object): void =>
    void logged.push(fields !== undefined && 'event' in fields ? `event: ${line}` : line);
  const log = { info: note, warn: (line: string, fields?: object) => note(`warning: ${line}`, fields) };
  moments = new Moments({
    clock,
    log,
    sessions: { all: sessions },
    volumes: {
      nameOf: (id) => id.toUpperCase(),
      sync: async (id) => {
        synced.push(id);
        if (syncError !== null) throw syncError;
      },
    },
    holds: { unsettledNode: () => unsettled },
    incarnationOf: () => incarnation,
    lost: (id) => void synced.push(`${id} is lost`),
  });
});

function session(node: string, ...volumes: string[]): MomentSession {
  const said = (message: HoldMessage): string =>
    message.type === 'hold' ? message.volumeIds.join('+') : message.guards.map(({ volumeId, chunks }) => `${volumeId}/${chunks}`).join('+');
  const one: MomentSession = {
    id: `session of ${node}`,
    client: { node },
    uses: new Set(volumes),
    workerSession: { send: (message) => void sent.push(`${node}: ${message.type} ${said(message)}`) },
  };
  sessions.push(one);
  return one;
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

async function take(...copies: [volumeId: string, chunks: number][]): Promise<void> {
  const given = copies.map(([volumeId, chunks]) => ({
    volumeId,
    sizeBytes: chunks * 4096,
    chunkBytes: 4096,
    chunks,
    clone: (chunk: number) =>
      new Promise<void>((resolve, reject) => {
        clones.push({
          volumeId,
          chunk,
          ends: (error) => {
            if (error === undefined) resolve();
            else reject(error);
            return turn();
          },
        });
      }),
  }));
  outcome = 'not yet';
  moments.take(given).then(
    () => (outcome = 'taken'),
    (error: Error & { code: string }) => (outcome = `${error.code} ${error.message}`),
  );
  await turn();
}

async function held(...nodes: string[]): Promise<void> {
  for (const node of nodes) moments.held(`session of ${node}`, 0);
  await turn();
}

test('a moment over two volumes: the sessions that use one are held, and it is logged', async () => {
  session('a', 'x');
  session('b', 'y', 'z');
  session('c', 'z');
  await take(['x', 1], ['y', 2]);
  expect(sent.splice(0)).toEqual(['a: hold x+y', 'b: hold x+y']);
  clock.advance(3);
  await held('a', 'b');
  expect(clones.map(({ volumeId, chunk }) => `${volumeId} ${chunk}`)).toEqual(['x 0']);
  clock.advance(2);
  await clones[0]!.ends();
  expect(sent.splice(0)).toEqual(['a: go-on y/2', 'b: go-on y/2']);
  clock.advance(5);
  await clones[1]!.ends();
  clock.advance(4);
  expect(clones.length).toBe(2);
  clock.advance(1);
  await clones[2]!.ends();
  expect([sent, outcome, synced]).toEqual([['a: go-on ', 'b: go-on '], 'taken', ['x', 'y']]);
  expect(logged).toEqual(['Copied X, Y at one moment: changes of 2 sessions were held for 5.0 ms, 3 pieces cloned in 15ms']);
  expect(clock.timersPending).toBe(0);
});

test('a client that does not stop in time is named, and a later moment is possible', async () => {
  session('a', 'x');
  session('slow', 'x');
  await take(['x', 1]);
  await held('a');
  clock.advance(HOLD_LIMIT_MS);
  await turn();
  expect(outcome).toBe('E_BUSY The changes of 1 client slow in progress did not end within 1s: try again when the storage is less busy');
  expect(sent.slice(2)).toEqual(['a: go-on ', 'slow: go-on ']);
  expect(logged).toEqual([`warning: No snapshot of X: ${outcome.slice('E_BUSY '.length)}`]);
  sessions.length = 0;
  await take(['x', 1]);
  await clones[0]!.ends();
  expect(outcome).toBe('taken');
});

test('a late answer of an earlier moment counts for nothing', async () => {
  session('a', 'x');
  await take(['x', 1]);
  clock.advance(HOLD_LIMIT_MS);
  await turn();
  await take(['x', 1]);
  moments.held('session of a', 0);
  await turn();
  expect(clones).toEqual([]);
  moments.held('session of a', 1);
  expect(clones.length).toBe(1);
});

test('a session that ends has no change in progress', async () => {
  session('a', 'x');
  await take(['x', 1]);
  moments.sessionEnded('session of a');
  await clones[0]!.ends();
  expect([outcome, sent]).toEqual(['taken', ['a: hold x']]);
});

test('a session that is granted the volume meanwhile learns of the hold, once', async () => {
  session('a', 'x');
  await take(['x', 2]);
  const late = session('late');
  moments.granted(late, 'y');
  moments.granted(late, 'x');
  moments.granted(late, 'x');
  expect(sent).toEqual(['a: hold x', 'late: hold x']);
  await held('a');
  expect(sent.slice(2)).toEqual(['a: go-on x/2', 'late: go-on x/2']);
});

test('chunks that a session asks for are answered when they are cloned; an old request at once', async () => {
  session('a', 'x');
  await take(['x', 3]);
  await held('a');
  const answers: boolean[] = [];
  void moments.clone('session of a', { what: 'clone', number: 0, volumeId: 'x', from: 2, to: 2 }).then((one) => answers.push(one.isCloned));
  void moments.clone('session of a', { what: 'clone', number: 7, volumeId: 'x', from: 0, to: 0 }).then((one) => answers.push(one.isCloned));
  await turn();
  expect(answers).toEqual([false]);
  await clones[0]!.ends();
  expect(clones[1]!.chunk).toBe(2);
  await clones[1]!.ends();
  expect(answers).toEqual([false, true]);
});

test('a clone that fails or takes too long fails the moment when it has ended', async () => {
  session('a', 'x');
  await take(['x', 1]);
  await held('a');
  await clones[0]!.ends(new Error('broken'));
  expect(outcome).toBe('E_INTERNAL broken');
  await take(['x', 1]);
  moments.held('session of a', 1);
  clock.advance(HOLD_MAX_MS);
  await turn();
  expect([sent.at(-1), outcome]).toEqual(['a: go-on ', 'not yet']);
  await clones[1]!.ends();
  expect(outcome).toBe('E_BUSY Volume X could not be cloned within 500ms: try again when the storage is less busy');
  await take(['x', 2]);
  moments.held('session of a', 2);
  clock.advance(CLONE_MAX_MS);
  await clones[2]!.ends();
  expect(outcome).toBe('E_BUSY Volume X could not be cloned within 5s: try again when the storage is less busy');
});

test('one moment at a time holds changes; the next one begins when that one only guards chunks', async () => {
  session('a', 'x', 'y');
  await take(['x', 2]);
  await take(['y', 1]);
  expect(sent.splice(0)).toEqual(['a: hold x']);
  await take(['x', 1]);
  expect(outcome).toBe('E_BUSY Another snapshot of volume X is being taken: try again when it is there');
  await held('a');
  expect(sent.splice(0)).toEqual(['a: go-on x/2', 'a: hold y']);
  moments.held('session of a', 1);
  await turn();
  expect(clones.map(({ volumeId, chunk }) => `${volumeId} ${chunk}`)).toEqual(['x 0', 'y 0']);
  outcome = 'not yet';
  await clones[1]!.ends();
  expect([outcome, sent.splice(0)]).toEqual(['taken', ['a: go-on ']]);
  await clones[0]!.ends();
  await clones[2]!.ends();
  expect(sent.splice(0)).toEqual(['a: go-on ']);
  expect(clock.timersPending).toBe(0);
});

test('a session is asked for chunks of several moments, and learns of each when it is granted the volume', async () => {
  const one = session('a');
  await take(['x', 3]);
  await take(['y', 3]);
  (one.uses as Set<string>).add('y');
  moments.granted(one, 'y');
  (one.uses as Set<string>).add('x');
  moments.granted(one, 'x');
  expect(sent.splice(0)).toEqual(['a: go-on y/3', 'a: go-on x/3']);
  const answers: string[] = [];
  const ask = (number: number, volumeId: string, chunk: number) =>
    void moments
      .clone('session of a', { what: 'clone', number, volumeId, from: chunk, to: chunk })
      .then(({ isCloned }) => answers.push(`${volumeId} ${chunk} ${isCloned}`));
  ask(1, 'y', 2);
  ask(0, 'x', 1);
  for (const at of [1, 0, 2, 3]) await clones[at]!.ends();
  expect(answers).toEqual(['y 2 true', 'x 1 true']);
  moments.sessionEnded('session of a');
  moments.stop();
  for (const clone of clones) await clone.ends();
  expect([outcome, clock.timersPending]).toEqual(['E_SHUTTING_DOWN The server is shutting down: take the snapshot when it is back', 0]);
});

test('few moments guard chunks at a time; the others wait for a bounded time, and end with the server', async () => {
  const names = Array.from({ length: GUARDING_MAX }, (_, index) => `v${index}`);
  for (const name of names) await take([name, 2]);
  expect(clones).toHaveLength(GUARDING_MAX);
  await take(['late', 1]);
  clock.advance(MOMENT_WAIT_MS);
  await turn();
  // The moments with hanging clones have failed, and no longer count as guarding moments. The last moment could therefore begin.
  expect(clones.map(({ volumeId }) => volumeId)).toContain('late');
  await clones.at(-1)!.ends();
  expect(outcome).toBe('taken');
});

test('a moment that waits for its turn gives up, and ends with the server', async () => {
  session('a', 'x', 'y');
  await take(['x', 1]);
  await take(['y', 1]);
  moments.stop();
  await turn();
  expect(outcome).toBe('E_SHUTTING_DOWN The server is shutting down: take the snapshot when it is back');
  expect(clock.timersPending).toBe(0);
});

test('no snapshot without the writes that a client has to send again', async () => {
  unsettled = 'big-2';
  await take(['x', 1]);
  expect(outcome).toMatch(/^E_BUSY Client big-2 has not yet sent again the last writes of volume X/);
  unsettled = null;
  await take(['x', 1]);
  incarnation = 'two';
  await clones[0]!.ends();
  expect(outcome).toMatch(/^E_BUSY The storage of volume X may have lost writes meanwhile/);
});

test('no snapshot if the storage has reported an error', async () => {
  syncError = new RsError('E_VOLUME', 'The disk is broken');
  await take(['x', 1]);
  await clones[0]!.ends();
  expect([outcome, synced]).toEqual(['E_VOLUME The disk is broken', ['x', 'x is lost']]);
});

test('the end of the server ends a moment when the clone in progress has ended', async () => {
  session('a', 'x');
  await take(['x', 9]);
  await held('a');
  moments.stop();
  expect(sent.at(-1)).toBe('a: go-on ');
  await clones[0]!.ends();
  expect([clones.length, clock.timersPending]).toEqual([1, 0]);
  expect(outcome).toMatch(/^E_SHUTTING_DOWN /);
  await take(['x', 1]);
  expect(outcome).toMatch(/^E_SHUTTING_DOWN /);
});

test('bounds', async () => {
  await take(['x', GUARD_CHUNKS_MAX + 1]);
  expect(outcome).toMatch(/^E_LIMIT Volume X would be copied in 1048577 pieces/);
  await take(...Array.from({ length: MOMENT_VOLUMES_MAX + 1 }, (_unused, at): [string, number] => [`v${at}`, 1]));
  expect(outcome).toMatch(/^E_LIMIT More than 64 volumes/);
});
