// The reader judge reports each breach of N1 to N4, and accepts what is allowed: unchanged bytes, the removal of a snapshot that no client
// has, a return to the same snapshot, and a list that lacks snapshots that were removed after the client asked for it.

import { expect, test } from 'vitest';
import { ReaderJudge } from './reader-judge.ts';

const VOLUME = 'volume';

function known(number: number) {
  return { id: `id${number}`, name: `n${number}`, volumeId: VOLUME, createdMs: number, content: Buffer.alloc(1024, number) };
}

/** A judge that knows three snapshots. */
function judged(): ReaderJudge {
  const judge = new ReaderJudge('server0', () => 1);
  for (const number of [1, 2, 3]) judge.made(known(number));
  return judge;
}

function told(...numbers: number[]) {
  return numbers.map((number) => ({ name: `n${number}`, id: `id${number}` }));
}

test('bytes of the moment are right, and all others a breach', () => {
  const judge = judged();
  judge.reads('reader', 'id2', 512, Buffer.alloc(512, 2));
  expect(judge.breaches).toEqual([]);
  judge.reads('reader', 'id2', 0, Buffer.alloc(512, 3));
  expect(judge.breaches).toEqual([expect.stringContaining('N1: reader reads in n2')]);
});

test('a snapshot that a reader has open is not removed, and a removed one is not opened', () => {
  const judge = judged();
  judge.opened('reader', 'id1', null);
  judge.isRemoved('id2');
  judge.left('reader');
  judge.isRemoved('id1');
  expect(judge.breaches).toEqual([]);
  judge.opened('reader', 'id1', null);
  judge.opened('reader', 'id3', null);
  judge.isRemoved('id3');
  expect(judge.breaches).toEqual([expect.stringContaining('N2: reader has opened n1'), expect.stringContaining('N2: n3')]);
});

test('a reader comes back to the snapshot that it had', () => {
  const judge = judged();
  judge.opened('reader', 'id1', 'id1');
  expect(judge.breaches).toEqual([]);
  judge.opened('reader', 'id2', 'id1');
  expect(judge.breaches).toEqual([expect.stringContaining('N3: reader had n1')]);
});

test('a list has all older snapshots, the youngest first, but those that are removed meanwhile', () => {
  const judge = judged();
  judge.lists('reader', 'id3', told(2, 1), judge.standing());
  judge.lists('reader', 'id3', [], judge.standing());
  const before = judge.standing();
  judge.leaves('id1');
  judge.lists('reader', 'id3', told(2), before);
  judge.stays('id1');
  expect(judge.breaches).toEqual([]);
  judge.lists('reader', 'id3', told(2), judge.standing());
  judge.lists('reader', 'id2', told(3, 1), judge.standing());
  judge.lists('reader', 'id3', told(1, 2), judge.standing());
  expect(judge.breaches.map((breach) => breach.slice(breach.indexOf('N4')))).toEqual([
    'N4: reader is not told that n1 is older',
    'N4: reader is told that n3 (id3) is older than n2 of volume',
    'N4: reader is told that n2 (id2) is older than n1 of volume',
  ]);
});
