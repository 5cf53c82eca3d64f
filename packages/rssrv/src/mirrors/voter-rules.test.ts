// Tests the rules of a voter. In thousands of random runs, several clients send messages in any order, answers are lost, and messages
// arrive late. For each property, a variant of the rules with a planted fault shows that the test of the property can fail. voters.test.ts
// tests the file. Rules: Q2 to Q4, M22.

import { AssertionError } from '@rsio/base/lib/assert';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TERM_STEP_MAX } from '@rsio/protocol/wire/limits';
import { type MirrorConfig, type Term, VOTED } from '@rsio/protocol/wire/mirror-messages';
import { compareTerms } from '@rsio/base/structures/term-order';
import {
  checkNext,
  claim,
  confirm,
  type Decision,
  foundAgain,
  hasEnded,
  mayUse,
  newRecord,
  store,
  type VoterRecord,
  whyNoSnapshot,
} from './voter-rules.ts';

const FOUND = { mirror: '0'.repeat(32), name: 'db', universe: 0 };
const EMPTY = newRecord(FOUND, 'f'.repeat(32), 'big-1');
const IDENTITIES = ['a', 'b', 'c'].map((digit) => digit.repeat(32));

function config(k: number, inSync: number, clean = false): MirrorConfig {
  const members = IDENTITIES.map((identity, serverid) => ({ identity, serverid, volume: 'db', universe: 0 }));
  const chosen = IDENTITIES.filter((_, index) => (inSync & (1 << index)) !== 0);
  return {
    k,
    inSync: chosen,
    clean,
    members,
    voters: [{ voter: EMPTY.voter, serverid: 1 }],
    nextVoters: null,
    sizeBytes: 2 ** 30,
    clients: null,
  };
}

type Message = { readonly term: Term; readonly dataProcess: number } & (
  | { readonly kind: 'claim'; readonly takesOver: boolean }
  | { readonly kind: 'config'; readonly config: MirrorConfig }
  | { readonly kind: 'confirm' }
);

const term = fc.record({
  number: fc.integer({ min: 1, max: 4 }),
  node: fc.constantFrom('big-1', 'big-2'),
  instance: fc.integer({ min: 1, max: 2 }),
});
const configs = fc.record({ k: fc.integer({ min: 1, max: 3 }), inSync: fc.integer({ min: 1, max: 7 }), clean: fc.boolean() });
const sender = { term, dataProcess: fc.integer({ min: 0, max: 1 }) };
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant('claim' as const), ...sender, takesOver: fc.boolean() }),
  fc.record({ kind: fc.constant('config' as const), ...sender, config: configs.map(({ k, inSync, clean }) => config(k, inSync, clean)) }),
  fc.record({ kind: fc.constant('confirm' as const), ...sender }),
);

interface Rules {
  readonly claim: typeof claim;
  readonly store: typeof store;
  readonly confirm: typeof confirm;
}

const RULES: Rules = { claim, store, confirm };

function decide(rules: Rules, record: VoterRecord, one: Message): Decision {
  const { term: of, dataProcess } = one;
  if (one.kind === 'claim') return rules.claim(record, of, one.takesOver, dataProcess);
  return one.kind === 'config' ? rules.store(record, of, one.config, dataProcess) : rules.confirm(record, of, dataProcess);
}

const order = (a: Term | null, b: Term | null): number =>
  a === null || b === null ? Number(a !== null) - Number(b !== null) : compareTerms(a, b);

/** Describes the first answer that contradicts an earlier answer; null if no answer does. */
function broken(rules: Rules, messages: readonly Message[]): string | null {
  let record = EMPTY;
  /** The highest term and the highest version that were answered with DONE. */
  let promised: Term | null = null;
  /** The data process that has claimed this term. */
  let owner = 0;
  let version: { term: Term; config: MirrorConfig } | null = null;
  for (const one of messages) {
    const { voted, record: next } = decide(rules, record, one);
    if (voted !== VOTED.DONE && next !== record) return 'A refused message changed the record';
    record = next;
    if (voted !== VOTED.DONE) continue;
    if (order(one.term, promised) < 0) return 'A lower term was served after a higher one was promised';
    if (order(one.term, promised) === 0 && one.dataProcess !== owner) return 'A term served two data processes';
    if (one.kind === 'claim') [promised, owner] = [one.term, one.dataProcess];
    if (one.kind !== 'claim' && order(one.term, promised) !== 0) return 'A term was served that nobody claimed';
    if (one.kind === 'config') {
      const later: number = version === null ? 1 : compareTerms(one.term, version.term) || one.config.k - version.config.k;
      if (later < 0) return 'An older configuration was stored over a newer one';
      if (later === 0 && JSON.stringify(one.config) !== JSON.stringify(version?.config)) return 'Two configurations have one version';
      version = one;
    }
    if (JSON.stringify(record.stored?.config) !== JSON.stringify(version?.config)) return 'The stored configuration is not the last one';
    if (order(record.promise, promised) !== 0) return 'The promise is not the highest claimed term';
  }
  return null;
}

const histories = fc.array(message, { maxLength: 40 });
const RUNS = { numRuns: 3_000, seed: 21 };

test('what was answered stays true, in every order of messages', () => {
  fc.assert(
    fc.property(histories, (messages) => {
      expect(broken(RULES, messages)).toBe(null);
    }),
    RUNS,
  );
});

const FAULTS: readonly (readonly [string, Partial<Rules>])[] = [
  [
    'a claim of a lower term is promised',
    { claim: (record, one) => ({ voted: VOTED.DONE, sentence: '', record: { ...record, promise: one } }) },
  ],
  ['the promise is not kept', { claim: (record) => ({ voted: VOTED.DONE, sentence: '', record }) }],
  [
    'terms are compared by number only',
    { store: (record, one, sent) => store(record, record.promise?.number === one.number ? record.promise : one, sent) },
  ],
  ['a configuration needs no claim', { store: (record, one, sent) => store({ ...record, promise: one }, one, sent) }],
  ['an older configuration replaces a newer one', { store: (record, one, sent) => store({ ...record, stored: null }, one, sent) }],
  ['every data process may claim a term again', { claim: (record, one, takesOver) => claim(record, one, takesOver, record.dataProcess) }],
  ['every data process may store a configuration', { store: (record, one, sent) => store(record, one, sent, record.dataProcess) }],
  ['a term is confirmed for every data process', { confirm: (record, one) => confirm(record, one, record.dataProcess) }],
  ['the data process of an earlier term stays', { claim: (record, one, takesOver) => claim(record, one, takesOver) }],
  ['a lower term is confirmed', { confirm: (record) => ({ voted: VOTED.DONE, sentence: '', record }) }],
  ['a configuration is answered and not kept', { store: (record, one, sent) => ({ ...store(record, one, sent), record }) }],
];

test.each(FAULTS)('a planted fault is found: %s', (_, fault) => {
  const run = fc.check(
    fc.property(histories, (messages) => broken({ ...RULES, ...fault }, messages) === null),
    RUNS,
  );
  expect(run.failed).toBe(true);
});

test('the same message again is answered in the same way, and saves nothing', () => {
  fc.assert(
    fc.property(histories, message, (messages, last) => {
      const before = messages.reduce((record, one) => decide(RULES, record, one).record, EMPTY);
      const first = decide(RULES, before, last);
      const second = decide(RULES, first.record, last);
      expect(second.record).toBe(first.record);
      if (first.voted === VOTED.DONE) expect(second.voted).toBe(VOTED.DONE);
    }),
    RUNS,
  );
});

describe('a claim', () => {
  const [mine, theirs]: readonly [Term, Term] = [
    { number: 5, node: 'big-1', instance: 1 },
    { number: 6, node: 'big-2', instance: 1 },
  ];
  const held = claim(EMPTY, mine, false).record;

  test('of a held mirror is refused unless it takes over', () => {
    expect(claim(held, theirs, false)).toMatchObject({ voted: VOTED.HELD, record: held });
    expect(claim(held, theirs, true).record.promise).toEqual(theirs);
  });

  test('by another instance of the same node is no take-over', () => {
    expect(claim(held, { ...mine, instance: 2 }, false).voted).toBe(VOTED.DONE);
  });

  test('of a term of another data process is refused, and a higher one is not', () => {
    const first = claim(EMPTY, mine, false, 2).record;
    const sentence = 'Data process 2 of this client has claimed term 5 of the mirror';
    for (const decision of [claim(first, mine, true), store(first, mine, config(1, 7)), confirm(first, mine, 1)])
      expect(decision).toEqual({ voted: VOTED.SUPERSEDED, sentence, record: first });
    expect(claim(first, mine, false, 2)).toMatchObject({ voted: VOTED.DONE, record: first });
    const next = claim(first, { ...mine, number: 6 }, false);
    expect(next.voted).toBe(VOTED.DONE);
    expect(confirm(next.record, { ...mine, number: 6 }, 2).sentence).toContain('The main process of this client');
    expect(confirm(next.record, mine, 2).voted).toBe(VOTED.SUPERSEDED);
  });

  test('of a mirror that was detached is no take-over, until it is attached again', () => {
    const detached = store(held, mine, config(1, 7, true)).record;
    expect(hasEnded(detached)).toBe(true);
    const next = claim(detached, theirs, false).record;
    expect(next.promise).toEqual(theirs);
    expect(hasEnded(next)).toBe(false);
    expect(claim(next, { ...mine, number: 7 }, false).voted).toBe(VOTED.HELD);
  });

  test('may not use the numbers up', () => {
    expect(claim(EMPTY, { ...mine, number: TERM_STEP_MAX }, true).voted).toBe(VOTED.DONE);
    expect(claim(EMPTY, { ...mine, number: TERM_STEP_MAX + 1 }, true).voted).toBe(VOTED.TOO_FAR);
    expect(claim(held, { ...mine, number: 5 + TERM_STEP_MAX }, true).voted).toBe(VOTED.DONE);
    expect(claim(held, { ...mine, number: 6 + TERM_STEP_MAX }, true).voted).toBe(VOTED.TOO_FAR);
  });
});

test('the founder founds again until the first claim, and nobody else does', () => {
  expect(foundAgain(EMPTY, FOUND, 'big-1').voted).toBe(VOTED.DONE);
  expect(foundAgain(EMPTY, FOUND, 'big-2').voted).toBe(VOTED.DIFFERENT);
  expect(foundAgain(EMPTY, { ...FOUND, name: 'dc' }, 'big-1').voted).toBe(VOTED.DIFFERENT);
  const claimed = claim(EMPTY, { number: 1, node: 'big-1', instance: 1 }, false).record;
  expect(foundAgain(claimed, FOUND, 'big-1').voted).toBe(VOTED.DIFFERENT);
});

test('the configuration names the clients', () => {
  expect([mayUse(EMPTY, 'big-1'), mayUse(EMPTY, 'big-2')]).toEqual([true, false]);
  const mine = { number: 1, node: 'big-1', instance: 1 };
  const held = claim(EMPTY, mine, false).record;
  expect(mayUse(store(held, mine, config(1, 7)).record, 'big-2')).toBe(true);
  const named = store(held, mine, { ...config(1, 7), clients: ['big-2'] }).record;
  expect([mayUse(named, 'big-1'), mayUse(named, 'big-2')]).toEqual([false, true]);
});

test('a snapshot of a replica is made for the client that has the mirror, by a configuration of its term with the replica in sync (M22)', () => {
  const mine: Term = { number: 3, node: 'big-1', instance: 1 };
  const [a = '', b = ''] = IDENTITIES;
  const held: VoterRecord = { ...EMPTY, promise: mine, stored: { term: mine, config: config(1, 1) } };
  expect(whyNoSnapshot(held, a, mine)).toBeNull();
  expect(whyNoSnapshot(held, b, mine)).toBe('its replica is not in sync');
  expect(whyNoSnapshot(null, a, mine)).toBe('it has no record of the mirror');
  expect(whyNoSnapshot({ ...held, promise: { ...mine, number: 4, node: 'big-2' } }, a, mine)).toContain('client big-2 has the mirror');
  expect(whyNoSnapshot(held, a, { number: 3, node: 'big-2' })).toContain('client big-1 has the mirror');
  const older = { term: { ...mine, number: 2 }, config: config(1, 3) };
  expect(whyNoSnapshot({ ...held, stored: older }, a, mine)).toBe('it has no configuration of term 3 yet');
  expect(whyNoSnapshot({ ...held, stored: { term: mine, config: config(2, 1, true) } }, a, mine)).toContain('has detached');
});

test('a record that takes something back is a mistake of the server', () => {
  const mine: Term = { number: 3, node: 'big-1', instance: 1 };
  const record: VoterRecord = { ...EMPTY, promise: mine, stored: { term: mine, config: config(2, 7) } };
  const later = { ...mine, number: 4 };
  const wrong: readonly VoterRecord[] = [
    { ...record, voter: 'e'.repeat(32) },
    { ...record, promise: { ...mine, number: 2 } },
    { ...record, stored: null },
    { ...record, stored: { term: mine, config: config(1, 7) } },
    { ...record, promise: later, stored: { term: { ...mine, number: 2 }, config: config(9, 7) } },
    { ...record, stored: { term: later, config: config(1, 7) } },
  ];
  for (const next of wrong) expect(() => checkNext(record, next)).toThrow(AssertionError);
  checkNext(record, claim(record, later, true).record);
  checkNext({ ...record, promise: later }, { ...record, promise: later, stored: { term: later, config: config(1, 7) } });
});
