// Faults that the explorer must find: each replaces rules of the decider by ones that drop a part, under the names of test/models/README.md.
// `options` are bounds in which the fault shows soon, and `seed` is the first of the walks of which one must find it.

import { highestOf, isMajority } from '@rsio/protocol/mirror/membership/quorums';
import { type MembershipRules, RULES } from '@rsio/protocol/mirror/membership/rules';
import type { WalkOptions } from './world.ts';

export interface Planted {
  readonly name: string;
  readonly rules: Partial<MembershipRules>;
  readonly options: Partial<WalkOptions>;
  readonly seed: number;
}

const CUTS = { onlyCuts: true, losses: false, faults: 6, writes: 4, starts: 5 };
const VOTERS = { ...CUTS, changes: 3, wishes: ['voters'] } as const;
const GROWTH = { changes: 4, losses: false, wishes: ['grow'] } as const;
const FIXED = { changes: 0, losses: false };

export const PLANTED: readonly Planted[] = [
  {
    name: 'minority: one voter is enough',
    rules: {
      isQuorum: ({ voters }, has) => voters.some(({ voter }) => has(voter)),
      isAtMajority: ({ voters }, has) => voters.some(({ voter }) => has(voter)),
    },
    options: FIXED,
    seed: 5,
  },
  {
    name: 'any-replica: a claim may begin with a replica outside of I',
    rules: {
      isSource: () => true,
      chooseBase: (state) => {
        const base = highestOf([...state.servers.values()].map(({ claim }) => claim?.stored ?? null));
        if (base === null) return null;
        const here = new Set([...state.servers.values()].map(({ claim }) => claim?.replica?.identity ?? ''));
        const inSync = base.config.members.flatMap(({ identity }) =>
          here.has(identity) || base.config.inSync.includes(identity) ? [identity] : [],
        );
        return base.config.inSync.some((one) => here.has(one)) ? base : { ...base, config: { ...base.config, inSync } };
      },
    },
    options: FIXED,
    seed: 2,
  },
  {
    name: 'no-recommit: it serves before its configuration is at a majority',
    rules: { servesAtOnce: () => true },
    options: FIXED,
    seed: 14,
  },
  { name: 'clean-not-cleared: its configuration is still clean', rules: { ownConfig: (base) => base }, options: FIXED, seed: 1 },
  {
    name: 'shrink-early: a replica does not count once its removal is sent',
    rules: {
      counted: (state) => {
        const { pending } = state;
        return new Set([...RULES.counted(state)].filter((one) => pending === null || pending.inSync.includes(one)));
      },
    },
    options: FIXED,
    seed: 1,
  },
  {
    name: 'grow-late: a replica that joins counts after the majority',
    rules: { counted: ({ base }) => new Set(base?.config.inSync) },
    options: FIXED,
    seed: 33,
  },
  { name: 'join-noflush: the copy is not flushed', rules: { isFlushed: () => true }, options: FIXED, seed: 7 },
  {
    name: 'reopen-leaving: a replica is opened again while its removal is pending',
    rules: { isLeaving: () => false },
    options: FIXED,
    seed: 483,
  },
  {
    name: 'clear-early: bits are cleared while a member is not in I',
    rules: { isAllInSync: ({ pending }) => pending === null },
    options: FIXED,
    seed: 19,
  },
  {
    name: 'read-while-pending: a read needs the configuration at a majority alone',
    rules: {
      readers: ({ base }) => new Set(base?.config.inSync),
      confirming: ({ base, pending }) => new Set(base?.config.inSync.filter((one) => pending?.inSync.includes(one) ?? true)),
    },
    options: { ...CUTS, changes: 0 },
    seed: 348,
  },
  {
    name: 'one-step: a change of voters has one configuration',
    rules: { firstStep: (base, voters) => ({ ...base, voters }) },
    options: VOTERS,
    seed: 591,
  },
  {
    name: 'claim-first-voters: a claim needs the voters that the client knew first',
    rules: {
      isQuorum: (_, has) =>
        isMajority(
          [0, 1, 2].map((serverid) => ({ voter: `${serverid}1`.padStart(32, 'a'), serverid })),
          has,
        ),
    },
    options: VOTERS,
    seed: 466,
  },
  { name: 'size-early: the size is told before the replicas have grown', rules: { hasGrown: () => true }, options: GROWTH, seed: 1 },
  { name: 'join-ungrown: a replica joins that is too small', rules: { isLargeEnough: () => true }, options: GROWTH, seed: 37 },
  { name: 'read-unchecked: a read needs no confirmation of the term', rules: { confirming: () => new Set() }, options: FIXED, seed: 95 },
  {
    name: 'grow-in-sync: a replica that joins need not have grown',
    rules: {
      hasGrown: ({ base, replicas }, _, sizeBytes) =>
        base !== null && base.config.inSync.every((one) => (replicas.get(one)?.sizeBytes ?? 0) >= sizeBytes),
    },
    options: GROWTH,
    seed: 201,
  },
];
