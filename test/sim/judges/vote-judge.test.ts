// The vote judge finds a voter whose promise or config falls to a lower number, a claim that misses a config that a majority has stored,
// and a term that is confirmed although a higher term was claimed. The judge accepts correct answers, including late answers to earlier
// requests.

import { expect, test } from 'vitest';
import type { MirrorConfig } from '@rsio/protocol/wire/mirror-messages';
import { VoteJudge } from './vote-judge.ts';

const LOW = { number: 1, node: 'a', instance: 1 };
const HIGH = { number: 2, node: 'b', instance: 1 };
const config = (k: number): MirrorConfig => ({ k }) as MirrorConfig;

test('what a voter has answered never falls', () => {
  const judge = new VoteJudge('m', () => 0);
  const before = judge.asks();
  judge.answered(before, { voter: 'v', promise: HIGH, stored: { term: HIGH, config: config(2) } }, true);
  // This request was sent before the higher promise was answered.
  judge.answered(before, { voter: 'v', promise: LOW, stored: null }, true);
  judge.answered(judge.asks(), { voter: 'w', promise: LOW, stored: null }, true);
  expect(judge.breaches).toEqual([]);
  judge.answered(judge.asks(), { voter: 'v', promise: LOW, stored: { term: HIGH, config: config(2) } }, true);
  expect(judge.breaches).toEqual([expect.stringMatching(/Q2: voter v/)]);
  judge.answered(judge.asks(), { voter: 'v', promise: HIGH, stored: { term: HIGH, config: config(1) } }, true);
  expect(judge.breaches[1]).toMatch(/Q4: voter v/);
});

test('a term is not confirmed after a higher one was claimed', () => {
  const judge = new VoteJudge('m', () => 0);
  const before = judge.asks();
  judge.claimed(before, HIGH, []);
  judge.confirmed(before, LOW);
  judge.confirmed(judge.asks(), HIGH);
  expect(judge.breaches).toEqual([]);
  judge.confirmed(judge.asks(), LOW);
  judge.stored(judge.asks(), { term: LOW, k: 1 });
  judge.claimed(judge.asks(), LOW, []);
  expect(judge.breaches).toHaveLength(3);
});

test('a claim knows the config that is at a majority', () => {
  const judge = new VoteJudge('m', () => 0);
  const before = judge.asks();
  judge.stored(before, { term: LOW, k: 3 });
  judge.claimed(before, HIGH, [null, { term: LOW, k: 2 }]);
  judge.claimed(judge.asks(), HIGH, [null, { term: LOW, k: 3 }]);
  expect(judge.breaches).toEqual([]);
  judge.claimed(judge.asks(), HIGH, [null, { term: LOW, k: 2 }]);
  expect(judge.breaches).toEqual([expect.stringMatching(/Q4: .*nobody there knows config 3/)]);
});
