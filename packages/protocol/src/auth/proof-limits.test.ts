// Tests the limit on wrong proofs with a clock that the test advances: which peer must wait and for how long, the effect of other peers'
// failures, and which entries are dropped. The listener's tests cover the connection that must wait. Rules: G9.

import { describe, expect, test } from 'vitest';
import {
  FAILED_PROOFS_AT_ONCE,
  FAILED_PROOFS_OF_NODE_AT_ONCE,
  FAILED_PROOFS_REMEMBERED_MAX,
  FAILED_PROOF_EACH_MS,
  FAILED_PROOF_OF_NODE_EACH_MS,
} from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { AttemptLimit, type Claim, ProofLimits } from './proof-limits.ts';

const TEN = { atOnce: 10, eachMs: 1_000 };

function failTimes(limit: AttemptLimit, key: string, count: number): void {
  for (let i = 0; i < count; i++) limit.failed(key);
}

describe('one key', () => {
  test('waits after its last permitted failure, other keys do not', () => {
    const limit = new AttemptLimit(new FakeClock(), TEN);
    failTimes(limit, 'a', 9);
    expect(limit.waitMs('a')).toBe(0);
    limit.failed('a');
    expect(limit.waitMs('a')).toBe(1_000);
    expect(limit.waitMs('b')).toBe(0);
  });

  test('may then fail once in each interval, and several times at once again after a pause', () => {
    const clock = new FakeClock();
    const limit = new AttemptLimit(clock, TEN);
    failTimes(limit, 'a', 10);
    clock.advance(1_000);
    expect(limit.waitMs('a')).toBe(0);
    limit.failed('a');
    expect(limit.waitMs('a')).toBe(1_000);
    clock.advance(10_000);
    failTimes(limit, 'a', 9);
    expect(limit.waitMs('a')).toBe(0);
  });

  test('setting the clock of the machine neither ends nor prolongs the wait', () => {
    const clock = new FakeClock();
    const limit = new AttemptLimit(clock, TEN);
    failTimes(limit, 'a', 10);
    for (const jumpMs of [-3_600_000, 7_200_000]) {
      clock.jumpWall(jumpMs);
      expect(limit.waitMs('a')).toBe(1_000);
    }
  });
});

describe('the table is bounded', () => {
  test('entries without debt are forgotten first', () => {
    const clock = new FakeClock();
    const limit = new AttemptLimit(clock, TEN);
    for (let i = 0; i < FAILED_PROOFS_REMEMBERED_MAX; i++) limit.failed(`${i}`);
    clock.advance(1_000);
    expect(limit.waitMs('new')).toBe(0);
    limit.failed('new');
    expect(limit.size).toBe(1);
  });

  test('a flood of names allows no more guesses: a displaced name returns with at least the smallest debt of the others', () => {
    const clock = new FakeClock();
    const limit = new AttemptLimit(clock, TEN);
    failTimes(limit, 'victim', 10);
    for (let i = 0; i < FAILED_PROOFS_REMEMBERED_MAX - 1; i++) failTimes(limit, `${i}`, 10);
    failTimes(limit, 'one more', 1);
    expect(limit.size).toBe(FAILED_PROOFS_REMEMBERED_MAX);
    expect(limit.waitMs('victim')).toBeGreaterThanOrEqual(1_000);
    expect(limit.waitMs('another')).toBeGreaterThanOrEqual(1_000);
  });

  test('in any period no name gets more guesses than allowed, however many other names are used', () => {
    const clock = new FakeClock();
    const limit = new AttemptLimit(clock, { atOnce: 2, eachMs: 10_000 });
    let guesses = 0;
    for (let ms = 0; ms < 30_000; ms += 50) {
      for (let i = 0; i < 20; i++) if (limit.waitMs(`${ms} ${i}`) === 0) limit.failed(`${ms} ${i}`);
      if (limit.waitMs('victim') === 0) {
        limit.failed('victim');
        guesses++;
      }
      clock.advance(50);
    }
    expect(limit.size).toBeLessThanOrEqual(FAILED_PROOFS_REMEMBERED_MAX);
    expect(guesses).toBeLessThanOrEqual(5);
  });
});

describe('a node and an address together', () => {
  const claim = (changes: Partial<Claim> = {}): Claim => ({ address: '10.0.0.1', node: 'venus', machine: 'guess', ...changes });

  function lockedOut(isKnown: (one: Claim) => boolean = () => false): { limits: ProofLimits; clock: FakeClock } {
    const clock = new FakeClock();
    const limits = new ProofLimits(clock, isKnown);
    for (let i = 0; i < FAILED_PROOFS_AT_ONCE; i++) limits.failed(claim({ machine: `${i}` }));
    return { limits, clock };
  }

  test('wrong proofs of one node delay neither other nodes at the address nor the node elsewhere', () => {
    const { limits } = lockedOut();
    expect(limits.waitMs(claim())).toBe(FAILED_PROOF_EACH_MS);
    expect(limits.waitMs(claim({ node: 'mars' }))).toBe(0);
    expect(limits.waitMs(claim({ address: '10.0.0.2' }))).toBe(0);
  });

  test('a known machine pays only for its own failures, and others do not know its machine id', () => {
    const { limits } = lockedOut(({ machine }) => machine === 'own');
    expect(limits.waitMs(claim({ machine: 'own' }))).toBe(0);
    for (let i = 0; i < FAILED_PROOFS_AT_ONCE; i++) limits.failed(claim({ machine: 'own' }));
    expect(limits.waitMs(claim({ machine: 'own' }))).toBe(FAILED_PROOF_EACH_MS);
  });

  test('a /64 network of IPv6 counts as one address', () => {
    const limits = new ProofLimits(new FakeClock(), () => false);
    for (let i = 0; i < FAILED_PROOFS_AT_ONCE; i++) limits.failed(claim({ address: `fd00:1::${i + 1}` }));
    expect(limits.waitMs(claim({ address: 'fd00:1:0:0:ffff::9' }))).toBe(FAILED_PROOF_EACH_MS);
    expect(limits.waitMs(claim({ address: 'fd00:1:0:1::9' }))).toBe(0);
    expect(() => limits.waitMs(claim({ address: 'fe80::1%eth0' }))).not.toThrow();
    expect(() => limits.waitMs(claim({ address: '' }))).not.toThrow();
  });

  test('guesses from many addresses are counted by node and do not lock out its own machine', () => {
    const limits = new ProofLimits(new FakeClock(), ({ machine }) => machine === 'own');
    for (let i = 0; i < FAILED_PROOFS_OF_NODE_AT_ONCE; i++) limits.failed(claim({ address: `10.0.1.${i}` }));
    expect(limits.waitMs(claim({ address: '10.9.9.9' }))).toBe(FAILED_PROOF_OF_NODE_EACH_MS);
    expect(limits.waitMs(claim({ address: '10.9.9.9', machine: 'own' }))).toBe(0);
    expect(limits.waitMs(claim({ address: '10.9.9.9', node: 'mars' }))).toBe(0);
  });
});
