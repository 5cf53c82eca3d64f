// The rules of reservations: every cell of the table of conflicts, each command, and random sequences. The oracle of the sequences is a
// list of invariants from the specification, not a second implementation.

import { misfit } from '@rsio/base/lib/shape';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_KEY, reservationShape, type ReservationState, type ReservationType } from '@rsio/rsiod/notes/reservation-state';
import {
  changed,
  holds,
  mayUse,
  NO_RESERVATIONS,
  type ReservationAction,
  type ReservationChange,
  type ReservingHost,
} from './reservation-rules.ts';

type Host = ReservingHost;
const hostOf = (digit: string): Host => ({ hostId: digit.repeat(32), hostNqn: `nqn.2020-01.org:${digit}` });
const [A, B, C, D] = [hostOf('a'), hostOf('b'), hostOf('c'), hostOf('d')];
const HOSTS = [A, B, C, D];
const key = (number: number): string => number.toString(16).padStart(16, '0');

/** The state after commands that must succeed. */
function after(...steps: readonly (readonly [Host, ReservationAction])[]): ReservationState {
  let state = NO_RESERVATIONS;
  for (const [host, action] of steps) state = (changed(state, host, action) as ReservationChange).state;
  return state;
}

const register = (host: Host, number: number): readonly [Host, ReservationAction] => [
  host,
  { verb: 'register', key: key(number), ptpl: null },
];
const acquire = (host: Host, number: number, type: ReservationType): readonly [Host, ReservationAction] => [
  host,
  { verb: 'acquire', current: key(number), type },
];
const summary = ({ type, holder, registrants }: ReservationState): string =>
  `${type} ${holder?.[0] ?? '-'} ${registrants.map((one) => one.hostId[0]).join('')}`;
const tell = (change: ReturnType<typeof changed>): string =>
  typeof change === 'string' ? change : `${summary(change.state)}${change.notices.map((one) => ` ${one.hostId[0]}: ${one.what}`).join('')}`;

it('keeps of a registrant what the record declares, whatever else the command of the host has', () => {
  const [host, action] = register(A, 1);
  const command = { ...host, action, isWanted: true };
  const { state } = changed(NO_RESERVATIONS, command, action) as ReservationChange;
  expect(misfit(reservationShape, state, 'exactly')).toBe(null);
  expect(state.registrants).toEqual([{ ...A, key: key(1) }]);
});

describe('the table of conflicts (r: may read, w: may change)', () => {
  // Holder, registrant, other host: NVMe Base 2.0, figure "Command Behavior in the Presence of a Reservation".
  const TABLE: readonly [string, ReservationType, readonly [string, string, string]][] = [
    ['Write Exclusive', 1, ['rw', 'r', 'r']],
    ['Exclusive Access', 2, ['rw', '', '']],
    ['Write Exclusive, registrants only', 3, ['rw', 'rw', 'r']],
    ['Exclusive Access, registrants only', 4, ['rw', 'rw', '']],
    ['Write Exclusive, all registrants', 5, ['rw', 'rw', 'r']],
    ['Exclusive Access, all registrants', 6, ['rw', 'rw', '']],
  ];

  it.each(TABLE)('%s', (_, type, cells) => {
    const state = after(register(A, 1), register(B, 2), acquire(A, 1, type));
    const found = [A, B, C].map(({ hostId }) => `${mayUse(state, hostId, false) ? 'r' : ''}${mayUse(state, hostId, true) ? 'w' : ''}`);
    expect(found).toEqual(cells);
    expect([A, B, C].map(({ hostId }) => holds(state, hostId))).toEqual([true, type >= 5, false]);
  });

  it('without a reservation, all hosts may do everything', () => {
    const state = after(register(A, 1));
    expect([A, B].every(({ hostId }) => mayUse(state, hostId, true) && mayUse(state, hostId, false))).toBe(true);
  });
});

describe('registration', () => {
  it('is of a host, with a key that only the host itself can replace', () => {
    const state = after(register(A, 1));
    expect(tell(changed(state, A, { verb: 'register', key: key(2), ptpl: null }))).toBe('conflict');
    expect(tell(changed(state, A, { verb: 'register', key: key(1), ptpl: null }))).toBe('0 - a');
    expect(tell(changed(state, A, { verb: 'replace', current: key(2), key: key(3), ptpl: null }))).toBe('conflict');
    expect(tell(changed(state, B, { verb: 'replace', current: key(1), key: key(3), ptpl: null }))).toBe('conflict');
    expect(tell(changed(state, B, { verb: 'replace', current: null, key: key(3), ptpl: null }))).toBe('0 - ab');
    const replaced = changed(state, A, { verb: 'replace', current: null, key: key(9), ptpl: true }) as ReservationChange;
    expect([replaced.state.registrants[0]?.key, replaced.state.ptpl, replaced.state.generation]).toEqual([key(9), true, 2]);
  });

  it('has a bound', () => {
    const many = Array.from({ length: 64 }, (_, number) => register({ hostId: key(number).repeat(2), hostNqn: 'nqn' }, 1));
    const state = after(...many);
    expect(misfit(reservationShape, state)).toBeNull();
    expect(changed(state, A, { verb: 'register', key: key(1), ptpl: null })).toBe('full');
    expect(changed(state, A, { verb: 'replace', current: null, key: key(1), ptpl: null })).toBe('full');
  });

  it.each([
    [1, '0 - b'],
    [2, '0 - b'],
    [3, '0 - b b: reservation released'],
    [4, '0 - b b: reservation released'],
    [5, '5 - b'],
    [6, '6 - b'],
  ] as const)('that a holder of type %i gives up ends its reservation, unless all registrants are holders', (type, outcome) => {
    const state = after(register(A, 1), register(B, 2), acquire(A, 1, type));
    expect(tell(changed(state, A, { verb: 'unregister', current: key(2), ptpl: null }))).toBe('conflict');
    expect(tell(changed(state, C, { verb: 'unregister', current: null, ptpl: null }))).toBe('conflict');
    expect(tell(changed(state, A, { verb: 'unregister', current: key(1), ptpl: null }))).toBe(outcome);
    const alone = after(register(A, 1), acquire(A, 1, type));
    expect(tell(changed(alone, A, { verb: 'unregister', current: null, ptpl: null }))).toBe('0 - ');
  });
});

describe('a reservation', () => {
  it('is acquired by a registrant with its key, once', () => {
    const state = after(register(A, 1), register(B, 2));
    expect(tell(changed(state, C, acquire(C, 1, 1)[1]))).toBe('conflict');
    expect(tell(changed(state, A, acquire(A, 2, 1)[1]))).toBe('conflict');
    const held = after(register(A, 1), register(B, 2), acquire(A, 1, 1));
    expect(summary(held)).toBe('1 a ab');
    expect(tell(changed(held, B, acquire(B, 2, 1)[1]))).toBe('conflict');
    expect(tell(changed(held, A, acquire(A, 1, 2)[1]))).toBe('conflict');
    expect((changed(held, A, acquire(A, 1, 1)[1]) as ReservationChange).state).toBe(held);
    const all = after(register(A, 1), register(B, 2), acquire(A, 1, 5));
    expect([tell(changed(all, B, acquire(B, 2, 5)[1])), tell(changed(all, B, acquire(B, 2, 6)[1]))]).toEqual(['5 - ab', 'conflict']);
  });

  it.each([1, 2, 3, 4, 5, 6] as const)('of type %i is released by its holder, with its type', (type) => {
    const held = after(register(A, 1), register(B, 2), acquire(A, 1, type));
    expect(tell(changed(held, A, { verb: 'release', current: key(2), type }))).toBe('conflict');
    expect(tell(changed(held, A, { verb: 'release', current: key(1), type: type === 1 ? 2 : 1 }))).toBe('invalid');
    expect(tell(changed(held, A, { verb: 'release', current: key(1), type }))).toBe(`0 - ab${type >= 3 ? ' b: reservation released' : ''}`);
    const byOther = tell(changed(held, B, { verb: 'release', current: key(2), type }));
    expect(byOther).toBe(type >= 5 ? '0 - ab a: reservation released' : summary(held));
    expect(tell(changed(held, B, { verb: 'clear', current: key(2) }))).toBe('0 -  a: reservation preempted');
    expect(tell(changed(held, B, { verb: 'clear', current: key(1) }))).toBe('conflict');
  });

  const preempt = (host: Host, number: number, victim: string, type: ReservationType): readonly [Host, ReservationAction] => [
    host,
    { verb: 'preempt', current: key(number), victim, type },
  ];

  it('is preempted by a registrant that names the key of its holder; all with this key lose their registration', () => {
    const held = after(register(A, 1), register(B, 2), register(C, 1), register(D, 4), acquire(A, 1, 1));
    expect(tell(changed(held, ...preempt(B, 2, key(1), 1)))).toBe('1 b bd a: registration preempted c: registration preempted');
    expect(tell(changed(held, ...preempt(B, 2, key(1), 4)))).toBe(
      '4 b bd a: registration preempted c: registration preempted d: reservation released',
    );
    expect(tell(changed(held, ...preempt(B, 2, key(4), 2)))).toBe('1 a abc d: registration preempted');
    expect(tell(changed(held, ...preempt(B, 2, key(7), 2)))).toBe('conflict');
    expect(tell(changed(held, ...preempt(B, 3, key(1), 2)))).toBe('conflict');
    expect(tell(changed(held, ...preempt(B, 2, NO_KEY, 2)))).toBe('invalid');
    // The holder changes the type, and a registrant that is not a holder names its own key.
    expect(tell(changed(held, ...preempt(A, 1, key(1), 2)))).toBe(
      '2 a abd c: registration preempted b: reservation released d: reservation released',
    );
    expect(tell(changed(held, ...preempt(B, 2, key(2), 2)))).toBe('1 a acd');
  });

  it('of all registrants is preempted with the key 0; another key takes registrations only', () => {
    const held = after(register(A, 1), register(B, 2), register(C, 3), acquire(A, 1, 6));
    expect(tell(changed(held, ...preempt(B, 2, NO_KEY, 6)))).toBe('6 - b a: registration preempted c: registration preempted');
    expect(tell(changed(held, ...preempt(B, 2, NO_KEY, 1)))).toBe('1 b b a: registration preempted c: registration preempted');
    expect(tell(changed(held, ...preempt(B, 2, key(1), 1)))).toBe('6 - bc a: registration preempted');
    expect(tell(changed(held, ...preempt(B, 2, key(9), 1)))).toBe('conflict');
  });

  it('that does not exist is not made by a preemption', () => {
    const state = after(register(A, 1), register(B, 2));
    expect(tell(changed(state, ...preempt(B, 2, key(1), 1)))).toBe('0 - b a: registration preempted');
    expect(tell(changed(state, ...preempt(B, 2, NO_KEY, 1)))).toBe('conflict');
  });
});

it('what is read from a record is checked', () => {
  const held = after(register(A, 1), register(B, 2), acquire(A, 1, 1));
  expect(misfit(reservationShape, JSON.parse(JSON.stringify(held)))).toBeNull();
  const WRONG: readonly [Partial<Record<keyof ReservationState, unknown>>, string][] = [
    [{ holder: C.hostId }, 'it has no registrant as its holder'],
    [{ holder: null }, 'it has no registrant as its holder'],
    [{ type: 0 }, 'it has no registrant as its holder'],
    [{ type: 7 }, 'type is not 0 or 1 or 2 or 3 or 4 or 5 or 6'],
    [{ type: 5, holder: null, registrants: [] }, 'it is held by no registrant'],
    [{ registrants: [...held.registrants, held.registrants[0]] }, 'it has a registrant twice'],
    [{ generation: -1 }, 'generation is not a whole number from 0 to 4294967295'],
    [{ registrants: [{ ...held.registrants[0], key: '12' }] }, 'registrants[0].key is not a key of 16 hexadecimal digits'],
  ];
  expect(WRONG.map(([more]) => misfit(reservationShape, { ...held, ...more }))).toEqual(WRONG.map(([, reason]) => reason));
});

describe('any sequence of commands', () => {
  const keys = fc.integer({ min: 0, max: 3 }).map(key);
  const types = fc.constantFrom<ReservationType>(1, 2, 3, 4, 5, 6);
  const ptpl = fc.constantFrom(null, true, false);
  const current = fc.oneof(keys, fc.constant(null));
  const actions: fc.Arbitrary<ReservationAction> = fc.oneof(
    fc.record({ verb: fc.constant('register' as const), key: keys, ptpl }),
    fc.record({ verb: fc.constant('replace' as const), current, key: keys, ptpl }),
    fc.record({ verb: fc.constant('unregister' as const), current, ptpl }),
    { weight: 4, arbitrary: fc.record({ verb: fc.constant('acquire' as const), current: keys, type: types }) },
    { weight: 4, arbitrary: fc.record({ verb: fc.constant('preempt' as const), current: keys, victim: keys, type: types }) },
    fc.record({ verb: fc.constant('release' as const), current: keys, type: types }),
    fc.record({ verb: fc.constant('clear' as const), current: keys }),
    fc.record({ verb: fc.constant('persist' as const), ptpl: fc.boolean() }),
    fc.constant({ verb: 'report' as const }),
  );

  const ids = (state: ReservationState): string[] => state.registrants.map(({ hostId }) => hostId);

  /** What must hold for one command that has succeeded. */
  function check(before: ReservationState, host: Host, action: ReservationAction, { state, notices }: ReservationChange): void {
    const own = before.registrants.find((one) => one.hostId === host.hostId);
    if ('current' in action && action.current !== null) expect(own?.key).toBe(action.current);
    expect(notices.some((one) => one.hostId === host.hostId)).toBe(false);
    const gone = before.registrants.filter((one) => !ids(state).includes(one.hostId));
    // Only these three remove registrants, and no one else loses the holder's place.
    if (action.verb === 'unregister') expect(gone).toEqual([own]);
    else if (action.verb === 'clear') expect([ids(state), state.type]).toEqual([[], 0]);
    else if (action.verb === 'preempt') {
      const isOfAll = before.type >= 5 && action.victim === NO_KEY;
      const isOfHolder = before.type < 5 && before.registrants.some((one) => one.hostId === before.holder && one.key === action.victim);
      const isVictim = (one: { hostId: string; key: string }): boolean => isOfAll || one.key === action.victim;
      const takesOver = isOfAll || isOfHolder;
      expect(gone).toEqual(before.registrants.filter((one) => isVictim(one) && !(takesOver && one.hostId === host.hostId)));
      expect(takesOver ? state.type === action.type && holds(state, host.hostId) : state.type === before.type || state.type === 0).toBe(
        true,
      );
      const told = notices.filter(({ what }) => what === 'registration preempted').map(({ hostId }) => hostId);
      expect(told).toEqual(gone.map(({ hostId }) => hostId).filter((one) => one !== host.hostId));
    } else expect(gone).toEqual([]);
    if (action.verb === 'acquire') expect([state.type, holds(state, host.hostId)]).toEqual([action.type, true]);
    const counts = ['register', 'replace', 'unregister', 'clear', 'preempt'].includes(action.verb);
    expect(state.generation - before.generation).toBe(counts ? 1 : 0);
    // A host that lost nothing by this command keeps its registration and its key.
    for (const { hostId, key: known } of before.registrants)
      if (hostId !== host.hostId && ids(state).includes(hostId))
        expect(state.registrants).toContainEqual(expect.objectContaining({ hostId, key: known }));
  }

  it('keeps what the specification says', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(...HOSTS), actions, fc.boolean()), { minLength: 10, maxLength: 60, size: 'max' }),
        (steps) => {
          let state = NO_RESERVATIONS;
          for (const [host, action, isRight] of steps) {
            const known = state.registrants.find((one) => one.hostId === host.hostId)?.key;
            // Half of the commands give the right key, because most would otherwise be refused.
            const given =
              isRight && known !== undefined && 'current' in action && action.current !== null ? { ...action, current: known } : action;
            const change = changed(state, host, given);
            const outcome = `${given.verb} ${typeof change === 'string' ? change : 'done'}`;
            seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
            if (typeof change === 'string') continue;
            expect(misfit(reservationShape, change.state, 'exactly')).toBeNull();
            check(state, host, given, change);
            ({ state } = change);
          }
        },
      ),
      { numRuns: 600 },
    );
    for (const outcome of [
      'acquire done',
      'acquire conflict',
      'preempt done',
      'preempt conflict',
      'preempt invalid',
      'release done',
      'clear done',
    ])
      expect(seen.get(outcome), outcome).toBeGreaterThan(9);
  });
});
