// Tests the decisions about a replication: which step follows, with which base, and which moments are kept. replication-lives.test.ts tests
// the steps themselves. Rules: T4.

import type { ReplicationOrder, SourceMoment } from '@rsio/api/rssrv/replication-methods';
import { describe, expect, test } from 'vitest';
import { HOLDER_LATE_MS, MOMENT_INTERVAL_MS } from '../limits.ts';
import {
  commonGroups,
  confirmedAt,
  type FollowerFacts,
  type FollowerStep,
  isAhead,
  isLaterOwner,
  nextStep as decide,
  type OwnSnapshot,
} from './follower-plan.ts';

const EVERY_MS = 60_000;
const MEMBERS = ['db', 'log'];
const LANE = { peer: 'oslo', gotGroup: null, old: [], mayAskGrant: true };

/** Moment `number` is at 1,000 * number ms. */
function moment(number: number, origin: (volume: string) => string | null = () => null): SourceMoment {
  const snapshots = MEMBERS.map((volume) => ({
    volumeId: volume,
    id: `${volume}-${number}`,
    snapshot: `m${number}`,
    sizeBytes: 4096,
    blockSizeBytes: 512,
    origin: origin(volume),
  }));
  return { group: `g${number}`, momentMs: 1_000 * number, place: null, snapshots };
}

function order(moments: readonly number[], changes: Partial<ReplicationOrder> = {}): ReplicationOrder {
  const members = MEMBERS.map((id) => ({ id, name: id, universe: 0, sizeBytes: 4096, blockSizeBytes: 512 }));
  const fixed = {
    replication: 'r',
    pool: null,
    everyMs: EVERY_MS,
    keep: 2,
    limitBytes: null,
    confirmed: null,
    members,
    problem: null,
    shared: null,
    handOver: null,
    isMirror: false,
  };
  return { ...fixed, moments: moments.map((one) => moment(one)), ...changes };
}

function own(volume: string, number: number, changes: Partial<OwnSnapshot> = {}): OwnSnapshot {
  const origin = { snapshot: `${volume}-${number}`, group: `g${number}` };
  const group = { id: `g${number}`, poolId: 'p', volumeId: volume };
  return { id: `own-${volume}-${number}`, name: `m${number}`, origin, group, createdMs: 1_000 * number, replication: 'r', ...changes };
}

function follower(volume: string, numbers: readonly number[], changes: Partial<FollowerFacts> = {}): FollowerFacts {
  const snapshots = numbers.map((one) => own(volume, one));
  return {
    sourceId: volume,
    volumeId: `f-${volume}`,
    isPromoted: false,
    peer: 'oslo',
    members: MEMBERS,
    snapshots,
    moments: (changes.snapshots ?? snapshots).filter(({ origin, replication }) => origin !== undefined && replication === 'r'),
    wanted: null,
    name: volume,
    universe: 0,
    inUse: new Set(),
    ...changes,
  };
}

function nextStep(
  all: ReplicationOrder,
  followers: readonly FollowerFacts[],
  nowMs: number,
  sinceMomentMs: number | null = null,
): FollowerStep {
  return decide(all, followers, { ...LANE, nowMs, sinceMomentMs, gotGroup: all.moments.at(-1)?.group ?? null });
}

/** Returns a snapshot that was made at this server. */
function withoutOrigin({ origin: _none, ...snapshot }: OwnSnapshot): OwnSnapshot {
  return snapshot;
}

const both = (numbers: readonly number[]): FollowerFacts[] => MEMBERS.map((volume) => follower(volume, numbers));

test('followers are made before anything is asked of the source', () => {
  expect(nextStep(order([]), [], 0)).toMatchObject({ kind: 'create', member: { id: 'db' } });
  expect(nextStep(order([]), [follower('db', [])], 0)).toMatchObject({ kind: 'create', member: { id: 'log' } });
  expect(nextStep(order([]), both([]), 0)).toEqual({ kind: 'ask' });
});

test('a problem of the source prevents only the next moment, and nothing follows a promotion', () => {
  expect(nextStep(order([], { problem: 'gone' }), both([]), 0)).toEqual({ kind: 'problem', text: 'gone' });
  expect(nextStep(order([1], { problem: 'gone' }), both([]), 0)).toMatchObject({ kind: 'pull', pulls: [{ base: null }, { base: null }] });
  expect(nextStep(order([1], { problem: 'gone', confirmed: 'g1' }), both([1]), EVERY_MS + 1_000).kind).toBe('problem');
  const promoted = [follower('db', [1], { isPromoted: true }), follower('log', [])];
  expect(nextStep(order([1], { problem: 'gone' }), promoted, 0)).toMatchObject({ kind: 'stuck', word: 'split' });
});

/** Returns the snapshot and the base of each pull. */
function pullsOf(step: FollowerStep): readonly unknown[] {
  return step.kind === 'pull' ? step.pulls.map(({ snapshot, base }) => [snapshot.id, base?.own ?? null, base?.since ?? null]) : [step.kind];
}

test('each follower pulls the newest moment, on the newest content that both servers have', () => {
  expect(pullsOf(nextStep(order([1]), both([]), 0))).toEqual(MEMBERS.map((volume) => [`${volume}-1`, null, null]));
  expect(pullsOf(nextStep(order([1, 2, 3]), both([1, 2]), 0))).toEqual(MEMBERS.map((volume) => [`${volume}-3`, 'm2', `${volume}-2`]));
  const uneven = [follower('db', [1, 2]), follower('log', [1])];
  expect(pullsOf(nextStep(order([1, 2]), uneven, 0))).toEqual([['log-2', 'm1', 'log-1']]);
});

// Regression: the state named promote, and promote was refused, because an old image had only one of two moments.
test('followers without a moment that all have are named with the newest snapshot that all have', () => {
  const kept = (volume: string, number: number): OwnSnapshot => ({ ...withoutOrigin(own(volume, number)), name: `before-${number}` });
  const uneven = [
    follower('db', [], { snapshots: [kept('db', 1), kept('db', 2), own('db', 4)] }),
    follower('log', [], { snapshots: [kept('log', 1), kept('log', 2), kept('log', 3)] }),
  ];
  const text = expect.stringContaining('rsadm volume promote db log --from before-2 keeps the content of this server');
  expect(nextStep(order([5]), uneven, 0)).toMatchObject({ kind: 'stuck', word: 'diverged', text });
});

test('a follower whose newest moment the source does not know gets nothing, and loses nothing, until an order', () => {
  // The source was restored from an old image, and has made other moments since then.
  for (const known of [[1, 3], [1], [], [3]]) {
    const all = [{ ...follower('db', [1, 2]), name: 'renamed' }, follower('log', [1, 2])];
    const step = nextStep(order(known, { keep: 1, confirmed: 'g3' }), all, 999_000);
    expect(step).toMatchObject({ kind: 'stuck', word: 'diverged', text: expect.stringContaining('rsadm volume promote renamed log') });
  }
  // One of two followers is enough, and a problem of the source hides its moments.
  expect(nextStep(order([1]), [follower('db', [1]), follower('log', [1, 2])], 0).kind).toBe('stuck');
  expect(nextStep(order([], { problem: 'gone' }), both([1]), 0).kind).toBe('problem');
  // A roll back at the source leaves its moments.
  expect(nextStep(order([1, 2, 3]), both([1, 2]), 0).kind).toBe('pull');
});

// Regression: nobody served. A hand-over that only the first follower wanted was neither taken over nor given up.
test('a hand-over that not all followers want is given up, because the command that wanted it was interrupted', () => {
  const handOver = { replication: 'w', group: 'g1', node: 'bergen' };
  const closed = order([1], { confirmed: 'g1', granted: 'w', handOver });
  const wants = (...wanted: readonly (string | null)[]) => wanted.map((one, index) => follower(MEMBERS[index]!, [1], { wanted: one }));
  expect(nextStep(closed, wants('w', null), 0)).toEqual({ kind: 'release', granted: 'w' });
  expect(nextStep(closed, wants(null, 'w'), 0)).toEqual({ kind: 'release', granted: 'w' });
  expect(nextStep(closed, wants('w', 'w'), 0)).toEqual({ kind: 'take-over', handOver });
  const open = order([1], { confirmed: 'g1' });
  expect(nextStep(open, wants('w', null), 2_000).kind).toBe('wait');
  expect(nextStep(open, wants('w', 'w'), 2_000)).toEqual({ kind: 'grant', wanted: 'w' });
});

// Regression: the moments of one volume were copied alone, and a promotion went back to the last moment that both followers had.
test('an order for other volumes than those that follow together changes nothing, until an order of a person', () => {
  const { members } = order([]);
  const text = expect.stringContaining('rsadm volume promote db log keeps the content of this server');
  for (const [others, known] of [
    [members.slice(0, 1), both([1])],
    [[...members, { ...members[0]!, id: 'more', name: 'more' }], both([1])],
  ] as const)
    expect(nextStep(order([1, 2], { members: others }), known, 0)).toMatchObject({ kind: 'stuck', word: 'diverged', text });
  // A source that cannot be read completely names the volumes that it has, and what it has closed opens again.
  expect(nextStep(order([], { members: members.slice(0, 1), problem: 'gone' }), both([1]), 0).kind).toBe('problem');
  expect(nextStep(order([1], { members: members.slice(0, 1), granted: 'w' }), both([1]), 0)).toEqual({ kind: 'release', granted: 'w' });
});

test('a demotion that was interrupted goes on with all of its volumes', () => {
  const old = [{ sourceId: 'log', name: 'my-log', universe: 0, granted: null, hasLast: false, wasPromoted: false }];
  const step = decide(order([1]), [follower('db', [], { name: 'my-db' })], { ...LANE, old, nowMs: 0, sinceMomentMs: null });
  expect(step).toMatchObject({ kind: 'stuck', text: expect.stringContaining('rsadm volume demote my-db my-log --for oslo;') });
  // Regression: after a promotion in between, the text named the first volume only.
  const promoted = [follower('db', [1], { name: 'my-db', isPromoted: true })];
  const split = decide(order([1]), promoted, { ...LANE, old, nowMs: 0, sinceMomentMs: null });
  expect(split).toMatchObject({
    word: 'split',
    text: expect.stringMatching(/rsadm volume replicate my-db my-log here.*rsadm volume demote my-db my-log --for oslo/),
  });
});

test('volumes that were the source follow only in the change of roles that this server has granted', () => {
  const old = MEMBERS.map((name) => ({
    sourceId: name,
    name: `my-${name}`,
    universe: 0,
    granted: 'r' as string | null,
    hasLast: true,
    wasPromoted: false,
  }));
  const step = (changes: Partial<(typeof old)[number]>) =>
    decide(order([1]), [], { ...LANE, nowMs: 0, sinceMomentMs: null, old: old.map((one) => ({ ...one, ...changes })) });
  expect(step({})).toEqual({ kind: 'follow' });
  expect(step({ granted: 'other' })).toMatchObject({
    kind: 'stuck',
    word: 'closed',
    text: expect.stringContaining('my-db my-log --end --force'),
  });
  expect(step({ hasLast: false, wasPromoted: false })).toMatchObject({ kind: 'stuck', word: 'closed' });
  // Of a server that has taken over in part, or whose pool is away, the moments are not known.
  const hidden = order([], { problem: 'gone' });
  expect(decide(hidden, [], { ...LANE, nowMs: 0, sinceMomentMs: null })).toEqual({ kind: 'problem', text: 'gone' });
  const split = step({ granted: null });
  expect(split).toMatchObject({
    kind: 'stuck',
    word: 'split',
    text: expect.stringContaining('rsadm volume demote my-db my-log --for oslo'),
  });
});

test('with a limit of bandwidth, one volume is pulled after the other', () => {
  const limited = order([1], { limitBytes: 1_000 });
  expect(pullsOf(nextStep(limited, both([]), 0))).toEqual([['db-1', null, null]]);
  expect(pullsOf(nextStep(limited, [follower('db', [1]), follower('log', [])], 0))).toEqual([['log-1', null, null]]);
});

test('a snapshot of another volume is no base', () => {
  const [db, log] = both([1]);
  const mixed = [{ ...db!, snapshots: log!.snapshots }, log!];
  expect(pullsOf(nextStep(order([1, 2]), mixed, 0))).toEqual([
    ['db-2', null, null],
    ['log-2', 'm1', 'log-1'],
  ]);
});

test('after a change of the roles, the content that the other server got from here is the base', () => {
  const back = moment(1, (volume) => `own-${volume}-1`);
  const mine = MEMBERS.map((volume) => {
    return follower(volume, [], { snapshots: [withoutOrigin(own(volume, 1))] });
  });
  const step = nextStep(order([], { moments: [back, moment(2)] }), mine, 0);
  expect(pullsOf(step)).toEqual(MEMBERS.map((volume) => [`${volume}-2`, 'm1', `${volume}-1`]));
});

test('a moment is confirmed when all followers have it, and the next one is asked for when it is due', () => {
  expect(nextStep(order([1, 2], { confirmed: 'g1' }), both([1, 2]), 2_000)).toEqual({ kind: 'confirm', group: 'g2' });
  const idle = order([1, 2], { confirmed: 'g2' });
  expect(nextStep(idle, both([1, 2]), 2_000)).toEqual({ kind: 'wait', ms: EVERY_MS, text: '' });
  expect(nextStep(idle, both([1, 2]), 2_000 + EVERY_MS - 1)).toEqual({ kind: 'wait', ms: 1, text: '' });
  expect(nextStep(idle, both([1, 2]), 2_000 + EVERY_MS)).toEqual({ kind: 'ask' });
});

test('a clock of the source that was set back delays no moment, and makes no flood of moments', () => {
  const idle = order([1, 2], { confirmed: 'g2' });
  expect(nextStep(idle, both([1, 2]), 1_999)).toEqual({ kind: 'ask' });
  expect(nextStep(idle, both([1, 2]), 1_999, 1)).toEqual({ kind: 'wait', ms: EVERY_MS - 1, text: '' });
  expect(nextStep(idle, both([1, 2]), 1_999, EVERY_MS)).toEqual({ kind: 'ask' });
});

test('a source whose moments are all of long ago by its own clock is not asked again at once', () => {
  const idle = order([1, 2], { confirmed: 'g2' });
  expect(nextStep(idle, both([1, 2]), 2_000 + 10 * EVERY_MS, 0)).toEqual({ kind: 'wait', ms: MOMENT_INTERVAL_MS, text: '' });
  expect(nextStep(idle, both([1, 2]), 2_000 + 10 * EVERY_MS, MOMENT_INTERVAL_MS)).toEqual({ kind: 'ask' });
});

test('moments beyond those that are kept are removed, but neither the newest nor one in use', () => {
  const idle = order([3], { confirmed: 'g3' });
  expect(nextStep(idle, both([1, 2, 3]), 3_000)).toMatchObject({ kind: 'remove', snapshot: { name: 'm1' }, follower: { sourceId: 'db' } });
  expect(nextStep({ ...idle, keep: 1 }, both([2, 3]), 3_000)).toMatchObject({ kind: 'remove', snapshot: { name: 'm2' } });
  expect(nextStep({ ...idle, keep: 1 }, both([3]), 3_000).kind).toBe('wait');
  const read = MEMBERS.map((volume) => follower(volume, [1, 2, 3], { inUse: new Set([`own-${volume}-1`]) }));
  expect(nextStep(idle, read, 3_000).kind).toBe('wait');
});

test('a moment that one follower lacks is not kept, and snapshots of others are never removed', () => {
  const idle = order([4], { confirmed: 'g4' });
  const uneven = [follower('db', [1, 3, 4]), follower('log', [1, 2, 4])];
  expect(nextStep(idle, uneven, 4_000)).toMatchObject({ kind: 'remove', snapshot: { name: 'm3' }, follower: { sourceId: 'db' } });
  const foreign = MEMBERS.map((volume) =>
    follower(volume, [], {
      snapshots: [own(volume, 1, { replication: 'other' }), withoutOrigin(own(volume, 2)), own(volume, 4)],
    }),
  );
  expect(nextStep({ ...idle, keep: 1 }, foreign, 4_000).kind).toBe('wait');
});

test('the common moments are those that all followers have', () => {
  expect(commonGroups([follower('db', [1, 2, 3]), follower('log', [1, 3])])).toEqual(['g1', 'g3']);
  expect(commonGroups([follower('db', [1]), follower('log', [])])).toEqual([]);
  expect(commonGroups([])).toEqual([]);
});

test('the moments of a mirror are waited for, and it is a problem only when they stay away', () => {
  const turn = { kind: 'wait', text: 'waits for the client that has the mirror attached, which makes the next moment' };
  expect(nextStep(order([], { isMirror: true }), both([]), 1)).toMatchObject(turn);
  const idle = order([1], { confirmed: 'g1', isMirror: true });
  expect(nextStep(idle, both([1]), 1_000 + EVERY_MS - 1)).toMatchObject({ kind: 'wait', ms: 1 });
  expect(nextStep(idle, both([1]), 1_000 + EVERY_MS)).toMatchObject(turn);
  expect(nextStep(idle, both([1]), 1_000 + 2 * EVERY_MS + HOLDER_LATE_MS)).toMatchObject(turn);
  expect(nextStep(idle, both([1]), 1_001 + 2 * EVERY_MS + HOLDER_LATE_MS).kind).toBe('problem');
});

// Regression: a moment had arrived at one of two followers when the mirror came back from an old image. Each follower kept its own newest
// moment, and lost the one with which both can be promoted.
test('a mirror that does not know the newest moments: the newest one that all followers have stays, and what is later', () => {
  const back = order([1, 9], { isMirror: true, confirmed: 'g1' });
  const uneven = [follower('db', [1, 2, 3]), follower('log', [1, 2])];
  expect(nextStep(back, uneven, 0)).toMatchObject({ kind: 'pull', pulls: [{ unknown: 'g2' }, { unknown: 'g2' }] });
  const named = (volume: string): OwnSnapshot => ({
    ...own(volume, 9),
    origin: { snapshot: `${volume}-9`, group: 'g9', unknown: 'g2' },
  });
  const arrived = uneven.map((one) => {
    const snapshots = [...one.snapshots, named(one.sourceId), own(one.sourceId, 10)];
    return { ...one, snapshots, moments: snapshots };
  });
  const later = order([9, 10], { isMirror: true, confirmed: 'g10', keep: 1 });
  expect(nextStep(later, arrived, 0)).toMatchObject({ kind: 'remove', snapshot: { name: 'm1' }, follower: { sourceId: 'db' } });
  const kept = arrived.map((one) => ({ ...one, moments: one.moments.slice(1), snapshots: one.snapshots.slice(1) }));
  expect(nextStep(later, kept, 0).kind).toBe('wait');
});

test('a peer is a later owner only of the same shared pool', () => {
  const shared = (poolId: string, generation: number): Pick<ReplicationOrder, 'shared'> => ({ shared: { poolId, generation } });
  expect(isLaterOwner(shared('p', 3), shared('p', 2))).toBe(true);
  expect(isLaterOwner(shared('p', 2), shared('p', 2))).toBe(false);
  expect(isLaterOwner(shared('q', 3), shared('p', 2))).toBe(false);
  expect(isLaterOwner(shared('p', 3), { shared: null })).toBe(false);
  expect(isLaterOwner({ shared: null }, shared('p', 2))).toBe(false);
});

test('followers get the name of the peer to which their source has moved, before the next moment', () => {
  const [db, log] = both([1]);
  const moved = { ...log!, peer: 'bergen' };
  expect(nextStep(order([1, 2]), [db!, moved], 0)).toEqual({ kind: 'adopt', follower: moved, from: 'bergen' });
});

describe('a server of a mirror', () => {
  const at = (term: number, number: number): SourceMoment => ({
    ...moment(term * 100 + number),
    place: { term, number },
    snapshots: [{ ...moment(term * 100 + number).snapshots[0]!, volumeId: 'db' }],
  });
  const mirror = (places: readonly (readonly [number, number])[], changes: Partial<ReplicationOrder> = {}): ReplicationOrder => {
    const { members } = order([]);
    return {
      ...order([]),
      isMirror: true,
      members: members.slice(0, 1),
      moments: places.map(([term, number]) => at(term, number)),
      ...changes,
    };
  };
  const copy = (term: number, number: number, changes: Partial<OwnSnapshot> = {}): OwnSnapshot => {
    const [one] = at(term, number).snapshots;
    return own('db', term * 100 + number, {
      origin: { snapshot: one!.id, group: at(term, number).group, place: { term, number } },
      ...changes,
    });
  };
  const step = (wanted: ReplicationOrder, snapshots: readonly OwnSnapshot[]): FollowerStep =>
    decide(wanted, [follower('db', [], { snapshots, members: ['db'] })], { ...LANE, nowMs: 1_000 * 1_000, sinceMomentMs: null });

  test('never gives the followers a moment that is earlier than theirs, and may remove its own', () => {
    const [early, late] = [mirror([[3, 9]]), mirror([[4, 1]])];
    expect(step(late, [copy(3, 9)])).toMatchObject({ kind: 'pull' });
    expect(step(early, [copy(4, 1)])).toMatchObject({ kind: 'confirm', group: 'g309' });
    const confirmed = mirror([[3, 9]], { confirmed: 'g309' });
    expect(step({ ...confirmed, everyMs: 600_000 }, [copy(4, 1)])).toMatchObject({
      kind: 'wait',
      text: expect.stringContaining('out of sync'),
    });
    expect(step(confirmed, [copy(4, 1)])).toMatchObject({ kind: 'problem', text: expect.stringContaining('out of sync') });
    // The moments of another mirror, which the volume has followed before, do not count.
    expect(step(early, [copy(4, 1, { replication: 'other' })])).toMatchObject({ kind: 'pull' });
  });

  test('is ahead of another one by the places of its moments only', () => {
    const early = mirror([
      [3, 1],
      [3, 60],
      [3, 90],
    ]);
    const late = mirror([
      [4, 1],
      [4, 2],
    ]);
    expect([isAhead({ ...early, everyMs: 1 }, late), isAhead(late, early)]).toEqual([false, false]);
    expect(isAhead({ ...late, confirmed: 'g401' }, early)).toBe(true);
    expect(isAhead({ ...late, everyMs: 1 }, mirror([[3, 1]]))).toBe(false);
    expect(
      isAhead(
        {
          ...mirror([
            [4, 1],
            [4, 20],
          ]),
          everyMs: 1,
        },
        early,
      ),
    ).toBe(true);
    expect(isAhead({ ...early, everyMs: 1 }, mirror([]))).toBe(true);
    expect(isAhead({ ...late, confirmed: 'g401' }, { moments: [{ ...moment(900), place: null }] })).toBe(true);
  });

  test('is told the newest of its moments that is not needed any more', () => {
    const followed = mirror(
      [
        [4, 1],
        [4, 2],
      ],
      { confirmed: 'g401' },
    );
    expect(
      confirmedAt(
        mirror([
          [3, 8],
          [3, 9],
          [4, 2],
        ]),
        followed,
      ),
    ).toBe('g309');
    expect(
      confirmedAt(
        mirror([
          [3, 9],
          [4, 1],
          [4, 2],
        ]),
        followed,
      ),
    ).toBe('g401');
    expect(confirmedAt(mirror([[4, 1]], { confirmed: 'g401' }), followed)).toBeNull();
    expect(confirmedAt(mirror([[4, 2]]), followed)).toBeNull();
    expect(confirmedAt(mirror([[3, 9]]), mirror([[4, 1]]))).toBeNull();
  });
});
