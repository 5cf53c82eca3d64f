// Tests, without a storage, which calls share a look at a record. owner-looks.ts and shared-pool.ts use the looks. Invariant: a look that
// answers a call has begun after the call. Rule: F8.

import { expect, test } from 'vitest';
import { Looks } from './looks.ts';

/** Looks that end when the test decides. */
class Scene {
  readonly events: string[] = [];
  readonly ends: ((isMine: boolean) => void)[] = [];
  private readonly looks = new Looks(() => {
    const number = this.events.push('look');
    return new Promise((resolve, reject) => this.ends.push((isMine) => (isMine ? resolve(true) : reject(new Error(`look ${number}`)))));
  });

  /** Records that a request was executed, and asks for a look. */
  ask(name: string): void {
    this.events.push(`${name} executed`);
    this.looks.ask().then(
      (isMine) => this.events.push(`${name} ${isMine}`),
      () => this.events.push(`${name} failed`),
    );
  }

  async turn(): Promise<string[]> {
    await new Promise((resolve) => setImmediate(resolve));
    return this.events.splice(0);
  }

  async end(isMine: boolean): Promise<string[]> {
    this.ends.shift()?.(isMine);
    return await this.turn();
  }
}

test('all calls of one event share a look, which begins after the last of them', async () => {
  const scene = new Scene();
  scene.ask('a');
  scene.ask('b');
  expect(await scene.turn()).toEqual(['a executed', 'b executed', 'look']);
  expect(await scene.end(true)).toEqual(['a true', 'b true']);
});

test('a call during a look gets the next look, which no call after its beginning shares', async () => {
  const scene = new Scene();
  scene.ask('a');
  await scene.turn();
  scene.ask('b');
  scene.ask('c');
  expect(await scene.turn()).toEqual(['b executed', 'c executed']);
  expect((await scene.end(true)).toSorted()).toEqual(['a true', 'look']);
  scene.ask('d');
  await scene.turn();
  expect((await scene.end(true)).toSorted()).toEqual(['b true', 'c true', 'look']);
  expect(await scene.end(true)).toEqual(['d true']);
});

test('no look begins while no call waits', async () => {
  const scene = new Scene();
  expect(await scene.turn()).toEqual([]);
  scene.ask('a');
  await scene.turn();
  expect(await scene.end(true)).toEqual(['a true']);
  expect(scene.ends).toEqual([]);
});

test('a look that fails ends only the calls that share it', async () => {
  const scene = new Scene();
  scene.ask('a');
  await scene.turn();
  scene.ask('b');
  await scene.turn();
  expect((await scene.end(false)).toSorted()).toEqual(['a failed', 'look']);
  expect(await scene.end(true)).toEqual(['b true']);
});
