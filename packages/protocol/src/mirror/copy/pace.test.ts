// Tests the pace of copies and their buffers. A fixed rate is kept. Users' I/O makes copies fewer and shorter, but does not stop them. A
// mirror continues with one small buffer while other mirrors use all shared buffers.

import { expect, test } from 'vitest';
import { CopyBuffers } from './copy-buffers.ts';
import {
  BUFFERS_MAX_BYTES,
  PIECE_BUSY_BYTES,
  PIECE_MAX_BYTES,
  PIECE_SMALL_BYTES,
  PIECES_BUSY_MAX,
  PIECES_MAX,
  USERS_RECENT_MS,
} from '../limits.ts';
import { Pace } from './pace.ts';

test('a rate is kept over ten minutes, within one burst', () => {
  for (const bytesPerSecond of [100_000, 3_000_000, 250_000_000]) {
    const pace = new Pace();
    pace.bytesPerSecond = bytesPerSecond;
    let copied = 0;
    let nowMs = 1_000;
    while (nowMs < 601_000) {
      const bytes = pace.pieceBytes(nowMs);
      pace.took(nowMs, bytes);
      copied += bytes;
      nowMs += Math.max(0.001, pace.waitMs(nowMs));
    }
    expect(copied / 600 / bytesPerSecond).toBeGreaterThan(0.98);
    expect(copied / 600 / bytesPerSecond).toBeLessThan(1.02);
  }
});

test('copies yield to users, and never stop', () => {
  const pace = new Pace();
  expect([pace.piecesMax(0), pace.pieceBytes(0), pace.waitMs(0)]).toEqual([PIECES_MAX, PIECE_MAX_BYTES, 0]);
  pace.usersSeen(0, 3);
  expect([pace.piecesMax(1), pace.pieceBytes(1), pace.waitMs(1)]).toEqual([PIECES_BUSY_MAX, PIECE_BUSY_BYTES, 0]);
  pace.usersSeen(USERS_RECENT_MS, 0);
  expect(pace.piecesMax(USERS_RECENT_MS)).toBe(PIECES_MAX);
  pace.bytesPerSecond = 1;
  expect(pace.pieceBytes(0)).toBe(PIECE_SMALL_BYTES);
});

test('the shared buffers are bounded, and a mirror without one has a small one of its own', () => {
  const buffers = new CopyBuffers();
  const grants = [];
  for (let grant = buffers.take(PIECE_MAX_BYTES, false); grant !== null; grant = buffers.take(PIECE_MAX_BYTES, false)) grants.push(grant);
  expect(grants.length).toBe(BUFFERS_MAX_BYTES / PIECE_MAX_BYTES);
  const own = buffers.take(PIECE_MAX_BYTES, true)!;
  expect([own.bytes, own.isShared]).toEqual([PIECE_SMALL_BYTES, false]);
  buffers.release(own);
  expect(buffers.take(PIECE_MAX_BYTES, false)).toBeNull();
  buffers.release(grants.pop()!);
  expect(buffers.take(PIECE_MAX_BYTES, false)?.isShared).toBe(true);
});
