// Tests the conclusions from the answers of several servers: which client holds a mirror, its note, and which nodes are silent.
// test/integration/volume-notes.test.ts asks real servers.

import { describe, expect, it } from 'vitest';
import { type VoteAnswer, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { mirrorVerdict, silentForAll } from './note-verdicts.ts';

const VOTERS = ['a', 'b', 'c'].map((voter, serverid) => ({ voter, serverid }));

function answer(voter: string, { k = 1, number = 1, node = 'big-2', clean = false, note = 'n' } = {}): VoteAnswer {
  const term = { number, node, instance: 1 };
  const config = { k, inSync: [], clean, members: [], voters: VOTERS, nextVoters: null, sizeBytes: 512, clients: null, note };
  return { voted: VOTED.DONE, sentence: '', voter, promise: term, stored: { term, config }, replica: null };
}

describe('a mirror', () => {
  it('has the note and the holder of the highest term, if most voters answer', () => {
    const verdict = mirrorVerdict([answer('a'), answer('c', { number: 2, node: 'big-6', note: 'm' })]);
    expect(verdict).toEqual({ isSure: true, holder: 'big-6', note: 'm', why: null });
    expect(mirrorVerdict([answer('a', { clean: true }), answer('b')])).toMatchObject({ isSure: true });
    expect(mirrorVerdict([answer('a', { clean: true, k: 2 }), answer('b')])).toMatchObject({ holder: null });
  });

  it('is unknown with fewer voters, and with answers of servers that are no voters', () => {
    expect(mirrorVerdict([answer('a')])).toMatchObject({ isSure: false, why: 'Fewer than 2 of the 3 voters answer' });
    expect(mirrorVerdict([answer('a'), answer('x')])).toMatchObject({ isSure: false });
    expect(mirrorVerdict([])).toMatchObject({ isSure: false, note: null });
  });
});

describe('silence', () => {
  it('is what all servers of a volume say, and no server says nothing', () => {
    expect(
      silentForAll(
        [
          [5, 9],
          [7, 0],
        ],
        2,
        null,
      ),
    ).toEqual([5, 0]);
    expect(silentForAll([], 2, null)).toEqual([0, 0]);
    expect(silentForAll([[null]], 1, null)).toEqual([0]);
  });

  it('is what most voters of a mirror say, whether the others answer or not', () => {
    expect(silentForAll([[5], [7]], 1, 2)).toEqual([5]);
    expect(silentForAll([[0], [7], [9]], 1, 2)).toEqual([7]);
    expect(silentForAll([[9]], 1, 2)).toEqual([0]);
    expect(silentForAll([[9], [9]], 1, 0)).toEqual([0]);
  });
});
