// Tests the turns of works for peers: their bounds, their order, works that are long, and works that are cancelled. followers.test.ts tests
// them with the pulls and calls of replications.

import { expect, test } from 'vitest';
import { PeerTurns } from './peer-turns.ts';

/** Works whose begin is noted, and which end when they are told to. */
class Works {
  readonly begun: string[] = [];
  private readonly turns: PeerTurns;
  private readonly ends = new Map<string, () => void>();
  private readonly cancels = new Map<string, AbortController>();

  constructor(turns: PeerTurns) {
    this.turns = turns;
  }

  /** Orders a work. Resolves with the code of its error, or with `done`. */
  add(name: string, peer = 'oslo', isLong = false): Promise<string> {
    const cancel = new AbortController();
    this.cancels.set(name, cancel);
    const run = this.turns.run({ peer, isLong, cancel: cancel.signal }, () => {
      this.begun.push(name);
      return new Promise<string>((resolve) => this.ends.set(name, () => resolve('done')));
    });
    return run.catch((error: { code: string }) => error.code);
  }

  async end(name: string): Promise<void> {
    this.ends.get(name)?.();
    await settled();
  }

  async cancel(name: string): Promise<void> {
    this.cancels.get(name)?.abort();
    await settled();
  }
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('works of a peer wait in order, and never for another peer', async () => {
  const works = new Works(new PeerTurns(2));
  for (const name of ['a', 'b', 'c', 'd']) void works.add(name);
  void works.add('other', 'bergen');
  await settled();
  expect(works.begun).toEqual(['a', 'b', 'other']);
  await works.end('b');
  await works.end('a');
  expect(works.begun).toEqual(['a', 'b', 'other', 'c', 'd']);
});

test('long works leave turns to the others, which pass those that wait', async () => {
  const works = new Works(new PeerTurns(4, 2));
  for (const name of ['l1', 'l2', 'l3', 'l4']) void works.add(name, 'oslo', true);
  for (const name of ['s1', 's2', 's3']) void works.add(name);
  await settled();
  expect(works.begun).toEqual(['l1', 'l2', 's1', 's2']);
  await works.end('l1');
  expect(works.begun.slice(4)).toEqual(['l3']);
  await works.end('s1');
  await works.end('s2');
  expect(works.begun.slice(4)).toEqual(['l3', 's3']);
});

test('a work that fails gives its turn back', async () => {
  const turns = new PeerTurns(1);
  const never = new AbortController().signal;
  const failing = turns.run({ peer: 'oslo', isLong: false, cancel: never }, () => Promise.reject(new Error('broken')));
  const works = new Works(turns);
  void works.add('next');
  await expect(failing).rejects.toThrow('broken');
  await settled();
  expect(works.begun).toEqual(['next']);
});

test('a cancelled work leaves the queue at once, and those behind it keep their order', async () => {
  const works = new Works(new PeerTurns(1));
  void works.add('a');
  const left = works.add('b');
  void works.add('c');
  await works.cancel('b');
  expect(await left).toBe('E_BUSY');
  await works.end('a');
  expect(works.begun).toEqual(['a', 'c']);
  // A work that has begun keeps its turn until it ends.
  void works.add('d');
  await works.cancel('c');
  expect(works.begun).toEqual(['a', 'c']);
  await works.end('c');
  expect(works.begun).toEqual(['a', 'c', 'd']);
});

test('a work that is cancelled while its turn comes blocks nothing', async () => {
  const codes = new Set<string>();
  // The turn has not come yet, has come although the work has not begun, or the work has begun.
  for (let ticks = 0; ticks < 10; ticks++) {
    const works = new Works(new PeerTurns(1));
    void works.add('a');
    const left = works.add('b');
    void works.add('c');
    await settled();
    void works.end('a');
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    const hasBegun = works.begun.includes('b');
    await works.cancel('b');
    await works.end('b');
    codes.add(`${await left} ${hasBegun}`);
    expect(works.begun.at(-1)).toBe('c');
  }
  expect([...codes].sort()).toEqual(['E_BUSY false', 'done true']);
});
