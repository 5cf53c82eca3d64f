// The mirror oracle finds a stale read after a take-over, an answered change that is lost, and a change that comes back after a holder has
// read older content. The oracle permits the only loss that the rules permit.

import { expect, test } from 'vitest';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { MirrorOracle } from './mirror-oracle.ts';

class Scene {
  readonly oracle = new MirrorOracle(4);
  readonly disk = Buffer.alloc(4 * SECTOR_BYTES);

  /** Returns the content of the change. */
  write(term: number, isAnswered = true): Buffer {
    const fill = Buffer.alloc(SECTOR_BYTES);
    const number = this.oracle.change(term, 1, 1, fill, 0);
    if (isAnswered) this.oracle.changed(number, 1, 1, false);
    return fill;
  }

  ask(): Float64Array {
    const ticket = new Float64Array(1);
    this.oracle.issueRead(1, 1, ticket);
    return ticket;
  }

  read(term: number, content: Buffer, ticket = this.ask()): readonly string[] {
    this.oracle.readDone(term, ticket, 1, 1, content, 0);
    return this.oracle.breaches;
  }

  flush(): void {
    this.oracle.flushed(this.oracle.flushBegins());
  }
}

test('a read of a client that was taken over may not be stale', () => {
  const scene = new Scene();
  scene.oracle.serves(1);
  const before = scene.write(1);
  const early = scene.ask();
  scene.oracle.serves(2);
  const after = scene.write(2);
  expect(scene.read(1, before, early)).toEqual([]);
  expect(scene.read(2, after)).toEqual([]);
  expect(scene.read(1, before)).toEqual([expect.stringMatching(/M15: sector 1 shows write 1 of term 1/)]);
});

test('what is answered is lost only with log and machine, and never if it was flushed', () => {
  const scene = new Scene();
  scene.oracle.serves(1);
  const flushed = scene.write(1);
  scene.flush();
  const last = scene.write(1);
  scene.oracle.crashed();
  expect(scene.read(1, last)).toEqual([]);
  scene.oracle.serves(2);
  expect(scene.read(2, flushed)).toEqual([]);
  expect(scene.read(2, last)).toEqual([expect.stringMatching(/M7: sector 1/)]);
  expect(scene.read(2, Buffer.alloc(SECTOR_BYTES))[1]).toMatch(/M15: sector 1 shows zeros/);
});

test('without a crash, nothing is lost with the log', () => {
  const scene = new Scene();
  scene.oracle.serves(1);
  const old = scene.write(1);
  scene.write(1);
  scene.oracle.ended(1);
  expect(scene.read(2, old)).toHaveLength(1);
});

test('a change is not answered after a later term has read what was before it', () => {
  const scene = new Scene();
  scene.oracle.serves(1);
  const old = scene.write(1);
  const number = scene.oracle.change(1, 1, 1, Buffer.alloc(SECTOR_BYTES), 0);
  scene.oracle.serves(2);
  expect(scene.read(2, old)).toEqual([]);
  scene.oracle.changed(number, 1, 1, false);
  expect(scene.oracle.breaches).toEqual([expect.stringMatching(/M16/)]);
});

test('zeros and bytes of no write', () => {
  const scene = new Scene();
  scene.oracle.serves(1);
  const zeros = scene.oracle.change(1, 1, 1, null, 0);
  scene.oracle.changed(zeros, 1, 1, false);
  expect(scene.read(1, Buffer.alloc(SECTOR_BYTES))).toEqual([]);
  scene.write(1);
  expect(scene.read(1, Buffer.alloc(SECTOR_BYTES))).toHaveLength(1);
  expect(scene.read(1, Buffer.alloc(SECTOR_BYTES, 7))[1]).toMatch(/bytes of no write/);
});

test('a FLUSH that was submitted before a loss makes durable what was answered before it', () => {
  const scene = new Scene();
  scene.oracle.serves(1);
  const flushed = scene.write(1);
  const covered = scene.oracle.flushBegins();
  const last = scene.write(1);
  scene.oracle.ended(1);
  scene.oracle.crashed();
  scene.oracle.flushed(covered);
  scene.oracle.serves(2);
  expect(scene.read(2, flushed)).toEqual([]);
  scene.oracle.serves(3);
  expect(scene.read(3, last)).toEqual([]);
  expect(scene.read(3, Buffer.alloc(SECTOR_BYTES))).toEqual([expect.stringMatching(/M15: sector 1 shows zeros/)]);
});
