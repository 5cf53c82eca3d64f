// Tests the copy of one piece. Zeros are sent as ZERO. A source that cannot read is replaced by another source. A replica that refuses the
// copy is reported. The lock ends after the last answer. A piece that is no longer needed is not written. Rules: M7.

import { expect, test } from 'vitest';
import { STATUS } from '../../wire/status.ts';
import { TimesBudget } from '../lacks/change-times.ts';
import { Lacks } from '../lacks/lacks.ts';
import { RegionSet } from '../region-set.ts';
import type { CopyIo, Done } from './copy-ports.ts';
import { PieceRun, type PieceResult } from './piece-run.ts';

const LENGTH = 8_192;

class Scene {
  readonly log: string[] = [];
  readonly open: { readonly what: string; readonly done: Done; readonly buffer: Buffer | null }[] = [];
  result: PieceResult | null = null;
  isVoid = false;
  life = 1;
  grant: (() => void) | null = null;

  constructor(sources: readonly string[], targets: readonly string[]) {
    const add = (what: string, done: Done, buffer: Buffer | null = null): void => {
      this.open.push({ what, done, buffer });
      this.log.push(what);
    };
    const unused = (): never => {
      throw new Error('Not needed for a piece');
    };
    const io: CopyIo = {
      touched: new RegionSet(),
      unsettled: new RegionSet(),
      lacks: new Lacks(new RegionSet(), new TimesBudget(), () => 0),
      outstanding: 0,
      settled: unused,
      settledMany: unused,
      lock: (begin, end, granted) => {
        this.log.push(`lock ${begin} ${end}`);
        this.grant = granted;
        return { release: () => this.log.push('unlock') };
      },
      tenureOf: (identity) => `${identity} ${this.life}`,
      lifeOf: unused,
      loadOf: unused,
      readAt: (identity, _position, _length, buffer, _offset, done) => add(`read ${identity}`, done, buffer),
      writeAt: (identity, _position, _length, _buffer, _offset, done) => add(`write ${identity}`, done),
      zeroAt: (identity, _position, _length, done) => add(`zero ${identity}`, done),
      flushAt: (identity, done) => add(`flush ${identity}`, done),
      readMap: unused,
      clearMap: unused,
    };
    const run = new PieceRun(io, {
      piece: { region: 0, beginBytes: 0, endBytes: LENGTH, runs: [0, LENGTH] },
      buffer: Buffer.alloc(2 * LENGTH, 7),
      sources: () => sources,
      targets: (source) => targets.filter((one) => one !== source),
      isVoid: () => this.isVoid,
      refused: (identity, status) => this.log.push(`refused ${identity} ${status}`),
      ended: (result) => {
        this.result = result;
        this.log.push(result);
      },
    });
    run.start();
    this.grant?.();
  }

  /** Answers the READ at the source with `content`, and then the flush of the source with OK. */
  read(content = 1): void {
    this.answer('read a', STATUS.OK, content);
    this.answer('flush a', STATUS.OK);
  }

  answer(what: string, status: number, content = 1): void {
    const index = this.open.findIndex((one) => one.what === what);
    const [one] = this.open.splice(index, 1);
    one!.buffer?.fill(content, 0, LENGTH);
    one!.done(status);
  }
}

test('a piece is read once and written to all others, under a lock', () => {
  const scene = new Scene(['a', 'b'], ['a', 'b', 'c']);
  scene.read();
  scene.answer('write c', STATUS.OK);
  expect(scene.result).toBeNull();
  scene.answer('write b', STATUS.OK);
  expect(scene.log).toEqual([`lock 0 ${LENGTH}`, 'read a', 'flush a', 'write b', 'write c', 'copied', 'unlock']);
});

test('zeros are sent as ZERO', () => {
  const scene = new Scene(['a'], ['b']);
  scene.read(0);
  scene.answer('zero b', STATUS.OK);
  expect(scene.result).toBe('copied');
});

test('a source that cannot read is replaced, and without another one the piece fails', () => {
  const scene = new Scene(['a', 'b'], ['c']);
  scene.answer('read a', STATUS.IO_ERROR);
  scene.answer('read b', STATUS.OUTCOME_UNKNOWN);
  expect(scene.log.slice(1)).toEqual(['read a', 'read b', 'failed', 'unlock']);
});

test('a piece that every source refuses to read is told apart from one that a lost session holds up', () => {
  const scene = new Scene(['a', 'b'], ['c']);
  scene.answer('read a', STATUS.IO_ERROR);
  scene.answer('read b', STATUS.IO_ERROR);
  expect(scene.log.slice(1)).toEqual(['read a', 'read b', 'unreadable', 'unlock']);
});

test('what a source shows counts only after a flush of the same tenure, because its storage may have lost what it had not written back', () => {
  const scene = new Scene(['a', 'b'], ['c']);
  scene.answer('read a', STATUS.OK);
  scene.life++;
  scene.answer('flush a', STATUS.OK);
  scene.answer('read b', STATUS.OK);
  scene.answer('flush b', STATUS.STALE);
  expect(scene.log.slice(1)).toEqual(['read a', 'flush a', 'read b', 'flush b', 'failed', 'unlock']);
});

test('a replica that refuses a copy is reported, and one whose session ended is not', () => {
  const scene = new Scene(['a'], ['b', 'c']);
  scene.read();
  scene.answer('write b', STATUS.NO_SPACE);
  scene.answer('write c', STATUS.OUTCOME_UNKNOWN);
  expect(scene.log.slice(-3)).toEqual([`refused b ${STATUS.NO_SPACE}`, 'failed', 'unlock']);
});

test('a piece that nobody needs is not written', () => {
  const scene = new Scene(['a'], ['b']);
  scene.isVoid = true;
  scene.answer('read a', STATUS.OK);
  expect(scene.log.slice(1)).toEqual(['read a', 'void', 'unlock']);
});
