// Faults of the decider, with their names in test/models/README.md. Each fault replaces rules in the decider's table with rules that lack a
// part. `options` are bounds with which the explorer finds the fault quickly. The zoo (test/sim/zoo) applies the faults, and has the number
// of the walk that finds each fault.

import { highestOf } from '@rsio/protocol/mirror/membership/quorums';
import { type MembershipRules, RULES } from '@rsio/protocol/mirror/membership/rules';
import { DIRECTED } from './directed.ts';
import type { WalkOptions } from './world.ts';

/** The original rule. The table may have another rule, because the zoo replaces rules. */
const { counted } = RULES;

export interface Planted {
  readonly name: string;
  /** Rule of docs/PROTOCOL.md that the fault breaks. */
  readonly rule: string;
  readonly breaks: string;
  readonly rules: Partial<MembershipRules>;
  readonly options: Partial<WalkOptions>;
}

const CUTS = { onlyCuts: true, losses: false, faults: 6, writes: 4, starts: 5 };
const GROWTH = { changes: 4, losses: false, wishes: ['grow'] } as const;
const FIXED = { changes: 0, losses: false };

export const PLANTED: readonly Planted[] = [
  {
    name: 'minority',
    rule: 'M5',
    breaks: 'One voter is enough',
    rules: {
      isQuorum: ({ voters }, has) => voters.some(({ voter }) => has(voter)),
      isAtMajority: ({ voters }, has) => voters.some(({ voter }) => has(voter)),
    },
    options: FIXED,
  },
  {
    name: 'any-replica',
    rule: 'M5',
    breaks: 'A claim may begin with a replica outside of I',
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
  },
  {
    name: 'witness-first',
    rule: 'M5',
    breaks: 'A witness is claimed although no replica in sync has answered',
    rules: { isClaimedFirst: () => true },
    options: { ...FIXED, barred: true },
  },
  {
    name: 'no-recommit',
    rule: 'M6',
    breaks: 'It serves before its configuration is at a majority',
    rules: { servesAtOnce: () => true },
    options: FIXED,
  },
  {
    name: 'clean-not-cleared',
    rule: 'M6',
    breaks: 'Its configuration is still clean',
    rules: { ownConfig: (base) => base },
    options: FIXED,
  },
  {
    name: 'shrink-early',
    rule: 'M8',
    breaks: 'A replica does not count once its removal is sent',
    rules: {
      counted: (state) => {
        const { pending } = state;
        return new Set([...counted(state)].filter((one) => pending === null || pending.inSync.includes(one)));
      },
    },
    options: FIXED,
  },
  {
    name: 'grow-late',
    rule: 'M8',
    breaks: 'A replica that joins counts after the majority',
    rules: { counted: ({ base }) => new Set(base?.config.inSync) },
    options: FIXED,
  },
  { name: 'join-noflush', rule: 'M12', breaks: 'The copy is not flushed', rules: { isFlushed: () => true }, options: FIXED },
  {
    name: 'clear-early',
    rule: 'M3',
    breaks: 'Bits are cleared while a member is not in I',
    rules: { isAllInSync: ({ pending }) => pending === null },
    options: FIXED,
  },
  {
    name: 'read-while-pending',
    rule: 'M15',
    breaks: 'A read needs the configuration at a majority alone',
    rules: {
      readers: ({ base }) => new Set(base?.config.inSync),
      confirming: ({ base, pending }) => new Set(base?.config.inSync.filter((one) => pending?.inSync.includes(one) ?? true)),
    },
    options: { ...CUTS, changes: 0 },
  },
  {
    name: 'size-early',
    rule: 'M21',
    breaks: 'The size is told before the replicas have grown',
    rules: { hasGrown: () => true },
    options: GROWTH,
  },
  { name: 'join-ungrown', rule: 'M21', breaks: 'A replica joins that is too small', rules: { isLargeEnough: () => true }, options: GROWTH },
  {
    name: 'read-unchecked',
    rule: 'M15',
    breaks: 'A read needs no confirmation of the term',
    rules: { confirming: () => new Set() },
    options: FIXED,
  },
  {
    name: 'grow-in-sync',
    rule: 'M21',
    breaks: 'A replica that joins need not have grown',
    rules: {
      hasGrown: ({ base, replicas }, _, sizeBytes) =>
        base !== null && base.config.inSync.every((one) => (replicas.get(one)?.sizeBytes ?? 0) >= sizeBytes),
    },
    options: GROWTH,
  },
  {
    name: 'join-late',
    rule: 'M12',
    breaks: 'A replica that joins counts only when the configuration with it is sent',
    rules: {
      counted: ({ base, pending, sentAny }) => new Set([...(base?.config.inSync ?? []), ...(pending === null ? [] : sentAny)]),
    },
    options: FIXED,
  },
  {
    name: 'identity-ignored',
    rule: 'M5',
    breaks: 'A claim takes the data of a server for those that I names, whatever their identity is',
    rules: {
      chooseBase: (state) => {
        const base = highestOf([...state.servers.values()].map(({ claim }) => claim?.stored ?? null));
        if (base === null) return null;
        const { members, inSync } = base.config;
        const now = new Map(
          members.map(({ identity, serverid }) => [identity, state.servers.get(serverid)?.claim?.replica?.identity ?? identity]),
        );
        const of = (identity: string): string => now.get(identity) ?? identity;
        const all = members.map((one) => ({ ...one, identity: of(one.identity) }));
        return { ...base, config: { ...base.config, members: all, inSync: inSync.map(of) } };
      },
    },
    options: { changes: 0 },
  },
  ...DIRECTED,
];
