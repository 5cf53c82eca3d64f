// Tests from which replicas a piece may be copied: what the replicas lack, their sizes, sessions and loads. copier-random.test.ts tests the
// choice together with the copier. Rules: M7, Q10.

import { describe, expect, test } from 'vitest';
import type { Term } from '../../wire/mirror-messages.ts';
import type { CopyView } from './copy-ports.ts';
import { type CopyKind, sourcesOf } from './sources.ts';

type Replica = CopyView['replicas'][number];

const term = (number: number, node = 'mars'): Term => ({ number, node, instance: 1 });

function replica(identity: string, lacksTerm: Term | null | undefined, others: Partial<Replica> = {}): Replica {
  return { identity, role: 'member', counts: true, reads: true, mayJoin: false, foundBytes: 100, lacksTerm, ...others };
}

/** The replicas without a session are `away`. The load of a replica is the length of its name. */
function sources(replicas: readonly Replica[], kind: CopyKind = 'settle', away: readonly string[] = []): string[] {
  const view = { isServing: true, isPending: false, isAllInSync: true, sizeBytes: 100, replicas };
  const io = { tenureOf: (one: string) => (away.includes(one) ? null : 'here'), loadOf: (one: string) => one.length };
  return sourcesOf(view, kind, 50, io);
}

describe('settling', () => {
  test.each<[string, readonly Replica[], readonly string[]]>([
    ['nothing before a term', [replica('a', term(1)), replica('busy', null)], ['busy']],
    ['a lower term before a higher one', [replica('a', term(2)), replica('busy', term(1))], ['busy']],
    ['terms of one number by their nodes', [replica('a', term(1, 'venus')), replica('busy', term(1, 'mars'))], ['busy']],
    ['nothing before the unknown', [replica('a', undefined), replica('busy', null)], ['busy']],
    ['the unknown before a term', [replica('a', term(1)), replica('busy', undefined)], ['busy']],
    ['all of the best ones, the least loaded first', [replica('busy', null), replica('a', null), replica('b', term(1))], ['a', 'busy']],
    ['one that returns does not count', [replica('a', term(1)), replica('b', null, { role: 'returning', counts: false })], ['a']],
    ['one that leaves counts, and is no source', [replica('a', term(1)), replica('b', null, { role: 'leaving' })], []],
    ['one that had the part before the mirror grew', [replica('a', null, { foundBytes: 10 }), replica('busy', term(1))], ['busy']],
  ])('%s', (_name, replicas, expected) => {
    expect(sources(replicas)).toEqual(expected);
  });

  test('a replica without a session is compared, because its data must not be overwritten when it is back', () => {
    expect(sources([replica('a', term(1)), replica('b', null)], 'settle', ['b'])).toEqual([]);
  });
});

test('regions that were settled once in the term, and copies to replicas that return, come from any replica', () => {
  const replicas = [replica('busy', null), replica('a', term(1)), replica('c', null, { reads: false })];
  expect(sources(replicas, 'resettle')).toEqual(['a', 'c', 'busy']);
  expect(sources(replicas, 'resync')).toEqual(['a', 'busy']);
});
