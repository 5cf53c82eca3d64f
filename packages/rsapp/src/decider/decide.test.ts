// Drives the decider by random histories (testing/world.ts), and replaces its rules by wrong ones: each of them must be noticed within
// WRONG_SEEDS histories. Single scenes check the words and the order of nodes.

import { afterEach, describe, expect, it } from 'vitest';
import { World } from '../testing/world.ts';
import { decide, newMemory, startedNote, whyAlone } from './decide.ts';
import type { AppRules, Facts, Memory, Seen } from './facts.ts';
import { changed, newNote, type Note, parseNote, printNote, withFailure, withPassed } from './note.ts';
import { RULES } from './rules.ts';

const SEEDS = 1000;
const WRONG_SEEDS = 300;
const RIGHT = { ...RULES };

afterEach(() => {
  Object.assign(RULES, RIGHT);
});

it(`${SEEDS} random histories have no problem`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) expect(new World(seed).run(), `seed ${seed}`).toEqual([]);
});

type Wrong = { [K in keyof typeof RULES]?: (typeof RULES)[K] };

const WRONG: Readonly<Record<string, Wrong>> = {
  'takes from a node that the servers see': { isSilent: () => true },
  'takes from a node at the first sign of silence': { isSilent: (_app, seen, node) => (seen.silentMs[node] ?? 0) > 0 },
  'takes from any holder': { isOpen: () => true },
  'never takes from a silent node': { isOpen: (_app, { me }, seen) => seen.holder === null || seen.holder === me },
  'never takes its own hold again': { isOpen: (app, _facts, seen) => seen.holder === null || RIGHT.isSilent(app, seen, seen.holder) },
  'forgets that it was disabled': { isWanted: ({ started }) => started },
  'forgets that it was stopped': { isWanted: ({ enabled }) => enabled },
  'never wants it': { isWanted: () => false },
  'counts no failures': { isExhausted: () => false },
  'counts the failures of all nodes together': {
    isExhausted: ({ restarts }, { failures }) => failures.length > restarts || failures.some(({ final }) => final),
  },
  'never tries again where it has failed': {
    restsUntilMs: (app, note, node, wallMs) => (RIGHT.isExhausted(app, note, node, wallMs) ? wallMs + 1 : null),
  },
  'tries at once again where it has failed': { restsUntilMs: () => null },
  'ignores moves that wait': { isPreferred: () => false },
  'gives it to a node that has failed': {
    next: (app, { me }, seen) => app.nodes.find((node) => node !== me && !RIGHT.isSilent(app, seen, node)) ?? null,
  },
  'gives it to a node that is silent': { next: (app, { me }) => app.nodes.find((node) => node !== me) ?? null },
  'all nodes begin at once': { delayMs: () => 0 },
  'waits for nodes that are gone': {
    delayMs: (app, facts, memory, seen, note) =>
      RIGHT.delayMs(app, facts, memory, { ...seen, holder: 'none', silentMs: {} }, note) === 0 ? 0 : null,
  },
  'believes a minority of the servers': { isKnown: (seen) => seen !== null },
  'goes on in isolation': { isIsolated: () => false },
  'returns again and again': { failsBack: (app, { me }) => app.failBack && app.nodes[0] !== me },
  'never returns': { failsBack: () => false },
  'keeps what it has lost': { mustClean: () => false },
  'cleans what it has': { mustClean: ({ local }) => local.isUp },
  'takes an application whose note was lost for new': { known: () => null },
};

describe('a wrong decider is noticed: it', () => {
  it.each(Object.entries(WRONG))('%s', (_name, wrong) => {
    Object.assign(RULES, wrong);
    const found = Array.from({ length: WRONG_SEEDS }, (_, index) => index + 1).find((seed) => new World(seed).run().length > 0);
    expect(found, 'the first seed with a problem').toBeDefined();
  });
});

const APP: AppRules = {
  name: 'pg',
  nodes: ['a', 'b', 'c'],
  silentMs: 10_000,
  startDelayMs: 10_000,
  restarts: 3,
  failBack: false,
  stopsInIsolation: true,
};
const NOTE = startedNote('pg', null, 'first');

function facts(
  me: string,
  seen: Partial<Seen> | null,
  more: Partial<Omit<Facts, 'local'>> & { local?: Partial<Facts['local']> } = {},
): Facts {
  const { local, ...others } = more;
  return {
    me,
    nowMs: 100_000,
    wallMs: 5_000_000,
    isDrained: false,
    isOrdered: false,
    seen: seen === null ? null : { isSure: true, volumeId: 'v', holder: null, note: NOTE, silentMs: { a: 0, b: 0, c: 0 }, ...seen },
    ...others,
    local: { holds: false, isUp: false, isRunning: false, failure: null, ...local },
  };
}

function ordered(given: Facts, memory: Memory = newMemory(0)) {
  return decide(APP, memory, given).order;
}

describe('scenes', () => {
  const openSince = (sinceMs: number, holder = ''): Memory => ({ ...newMemory(0), open: { holder, sinceMs } });

  const alone = (note: Note, silentMs: Record<string, number>): string =>
    whyAlone(APP, 5_000_000, { isSure: true, volumeId: 'v', holder: 'a', note, silentMs }, note);

  it('a note that was lost or reverted is written again by the holder, and is taken for new by nobody', () => {
    const known = changed(withFailure(NOTE, 'b', 4_900_000, false, 'broken'), {});
    const memory: Memory = { ...newMemory(0), known: { volumeId: 'v', note: known } };
    for (const note of [null, NOTE])
      for (const isRunning of [false, true])
        expect(ordered(facts('a', { holder: 'a', note }, { local: { holds: true, isUp: isRunning, isRunning } }), memory)).toEqual({
          kind: 'save',
          note: changed(known, {}),
        });
    expect(ordered(facts('a', { note: null }), memory)).toMatchObject({ kind: 'none', why: expect.stringContaining('was lost') as string });
    expect(ordered(facts('a', { note: null, holder: 'b' }, { local: { isUp: true } }), memory)).toMatchObject({ kind: 'clean' });
    expect(ordered(facts('a', { note: null, holder: 'b' }, { local: { isUp: true } }))).toMatchObject({ kind: 'none' });
    const other = facts('a', { holder: 'a', note: null, volumeId: 'new' }, { local: { holds: true, isUp: true, isRunning: true } });
    expect(ordered(other, memory)).toEqual({ kind: 'save', note: newNote('pg', 'a 5000000') });
    // A note of another line says what a person has wanted since the other one was lost, however often that one had changed.
    const stopped = changed(startedNote('pg', null, 'second'), { started: false });
    expect(stopped.changes).toBeLessThanOrEqual(known.changes);
    const held = { local: { holds: true, isUp: true, isRunning: true } };
    const again = decide(
      APP,
      { ...memory, known: { volumeId: 'v', note: changed(known, {}) } },
      facts('a', { holder: 'a', note: stopped }, held),
    );
    expect([again.order.kind, again.memory.known?.note]).toEqual(['stop', stopped]);
    // Another node may have started it again, by the order of a person.
    const elsewhere = decide(APP, memory, facts('a', { holder: 'b', note: NOTE }));
    expect(elsewhere.memory.known?.note).toEqual(NOTE);
  });

  it('the first node begins at once, the second one after the start delay, the third one after two', () => {
    expect(ordered(facts('a', {}))).toMatchObject({ kind: 'start', from: null });
    expect(ordered(facts('b', {}))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('b', {}), openSince(90_000))).toMatchObject({ kind: 'start' });
    expect(ordered(facts('c', {}), openSince(85_000))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('c', {}), openSince(80_000))).toMatchObject({ kind: 'start' });
  });

  it('a silent holder is taken from, and nodes that are gone have no turn', () => {
    expect(ordered(facts('b', { holder: 'a', silentMs: { a: 9_999 } }))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('b', { holder: 'a', silentMs: { a: 10_000 } }))).toMatchObject({ kind: 'start', from: 'a' });
    expect(ordered(facts('c', { holder: 'a', silentMs: { a: 10_000, b: 60_000 } }))).toMatchObject({ kind: 'start', from: 'a' });
    expect(ordered(facts('c', { holder: 'a', silentMs: { a: 10_000, b: 0 } }))).toMatchObject({ kind: 'none' });
  });

  it('too few servers, no note and an unreadable note start nothing', () => {
    for (const seen of [null, { isSure: false }, { note: null }, { note: 'unreadable' as const }])
      expect(ordered(facts('a', seen))).toMatchObject({ kind: 'none' });
  });

  it('a service that fails is restarted as often as the configuration says, then moved, then stopped', () => {
    const failing = (note: Note, silentMs: Record<string, number> = { b: 0, c: 0 }) =>
      ordered(facts('a', { holder: 'a', note, silentMs }, { local: { holds: true, isUp: true, failure: { why: 'x', final: false } } }));
    let note = NOTE;
    for (let time = 0; time < 3; time++) {
      expect(failing(note)).toMatchObject({ kind: 'restart' });
      note = withFailure(note, 'a', 5_000_000, false, 'x');
    }
    expect(failing(note)).toMatchObject({ kind: 'stop', note: { preferred: 'b', started: true } });
    expect(failing(note, { b: 20_000, c: 0 })).toMatchObject({ note: { preferred: 'c' } });
    for (const node of ['b', 'c']) note = withFailure(note, node, 5_000_000, true, 'x');
    expect(failing(note)).toMatchObject({ kind: 'stop', note: { started: false, why: 'x' } });
    const ended = changed(note, { started: false, why: 'x' });
    for (const me of ['a', 'b']) expect(ordered(facts(me, { note: ended }))).toEqual({ kind: 'none', why: 'It failed on all nodes: x' });
    expect(ordered(facts('b', { note: changed(ended, { why: '' }) }))).toEqual({ kind: 'none', why: 'It is stopped' });
  });

  it('a bar counts only while another node takes it: a node that has not taken it is the next one when the others are gone', () => {
    const note = withPassed(changed(NOTE, {}), 'b', 4_990_000);
    const gone = { a: 20_000, b: 0, c: 20_000 };
    expect(ordered(facts('b', { holder: 'a', note, silentMs: gone }))).toMatchObject({ kind: 'start', from: 'a' });
    const both = { a: 20_000, b: 0, c: 0 };
    expect(ordered(facts('c', { holder: 'a', note, silentMs: both })), 'c comes first').toMatchObject({ kind: 'start' });
    expect(ordered(facts('b', { holder: 'a', note, silentMs: both }))).toEqual({
      kind: 'none',
      why: 'Nodes before this one have their turn until 01:23:30 UTC',
    });
    const older = withPassed(withPassed(NOTE, 'c', 4_980_000), 'b', 4_990_000);
    expect(ordered(facts('c', { holder: 'a', note: older, silentMs: both })), 'the oldest bar first').toMatchObject({ kind: 'start' });
    expect(alone(note, { b: 0, c: 20_000 })).toBe('b has not taken it in its turn: is it drained?');
    expect(alone(NOTE, { b: 0, c: 20_000 })).toBe('');
  });

  it('where it has failed, it is tried again after FAILED_AGAIN_MS if no other node takes it, and WHY says when', () => {
    const note = withFailure(NOTE, 'b', 4_950_000, true, 'x');
    const silentMs = { a: 20_000, c: 20_000 };
    const why = 'It has failed here, and is tried here again at 01:23:30 UTC if no other node takes it';
    expect(ordered(facts('b', { note, silentMs }))).toEqual({ kind: 'none', why });
    const later = { wallMs: 5_010_000 };
    expect(ordered(facts('b', { note, silentMs }, later))).toMatchObject({ kind: 'start', note: { failures: note.failures } });
    expect(ordered(facts('b', { note }, later), openSince(85_000)), 'after the others').toMatchObject({ kind: 'none' });
    expect(ordered(facts('b', { note }, later), openSince(80_000))).toMatchObject({ kind: 'start' });
    expect(ordered(facts('b', { note, holder: 'b' }, later)), 'the hold of before a reboot').toMatchObject({ kind: 'stop' });
    expect(alone(note, { b: 0, c: 20_000 })).toBe(
      'No other node is ready: it has failed on b, which rests until 01:23:30 UTC; the servers do not see c',
    );
  });

  it('app start while the holder is silent takes it here, whatever has failed, and never before the servers agree', () => {
    const note = changed(withFailure(NOTE, 'c', 4_999_000, true, 'x'), { started: false });
    const order = { holder: 'a', note, silentMs: { a: 10_000, b: 0 } };
    expect(ordered(facts('c', order))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('c', order, { isOrdered: true }))).toMatchObject({
      kind: 'start',
      from: 'a',
      note: { started: true, failures: [] },
    });
    for (const silentMs of [{ a: 9_999 }, {}])
      expect(ordered(facts('c', { ...order, silentMs }, { isOrdered: true }))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('c', { ...order, note: changed(note, { enabled: false }) }, { isOrdered: true })).kind).toBe('none');
    expect(ordered(facts('c', order, { isOrdered: true, isDrained: true })).kind).toBe('none');
  });

  it('a node says in the note that it runs there, once it does', () => {
    const running = { local: { holds: true, isUp: true, isRunning: true } };
    const note = changed(NOTE, { runs: false });
    expect(ordered(facts('a', { holder: 'a', note }, running))).toMatchObject({ kind: 'save', note: { runs: true } });
    expect(ordered(facts('a', { holder: 'a', note: changed(note, { runs: true }) }, running))).toEqual({ kind: 'none', why: '' });
    expect(ordered(facts('a', { note: changed(note, { runs: true }) }))).toMatchObject({ kind: 'start', note: { runs: false } });
  });

  it('a person who attaches the volume starts it there, also where it has failed', () => {
    const note = withFailure(NOTE, 'b', 4_999_000, true, 'The service has ended');
    const seen = { holder: 'b', note, silentMs: { a: 20_000, c: 20_000 } };
    expect(ordered(facts('b', seen, { local: { holds: true } }))).toMatchObject({ kind: 'start', from: null });
    expect(ordered(facts('b', seen, { local: { holds: true, isUp: true } })), 'a start that has failed').toMatchObject({ kind: 'stop' });
  });

  it('a node that does not take what was moved to it comes after the others, and counts as able', () => {
    const note = changed(NOTE, { preferred: 'b', preferredMs: 4_960_000 });
    expect(ordered(facts('a', { note }), openSince(60_000))).toMatchObject({
      kind: 'start',
      note: { preferred: null, failures: [{ node: 'b', final: false, passed: true }] },
    });
    const fresh = changed(NOTE, { preferred: 'b', preferredMs: 4_999_000 });
    expect(ordered(facts('a', { note: fresh }), openSince(99_000))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('b', { note: fresh }), openSince(99_000))).toMatchObject({
      kind: 'start',
      note: { preferred: null, failures: [] },
    });
  });

  it('a node of a move has its turn for longer than the others wait for it, also with a long start delay', () => {
    const slow = { ...APP, startDelayMs: 180_000 };
    const note = changed(NOTE, { preferred: 'b', preferredMs: 4_900_000 });
    const order = decide(slow, openSince(0), facts('a', { note }, { nowMs: 350_000 })).order;
    expect(order).toMatchObject({ kind: 'none', why: 'Nodes before this one have their turn until 01:23:30 UTC' });
    expect(decide(slow, openSince(0), facts('a', { note }, { nowMs: 360_000 })).order).toMatchObject({ kind: 'start' });
  });

  it('rsiod hangs: the service is stopped after the time of silence, or goes on if the administrator wants that', () => {
    const hung = facts('a', null, { local: { holds: 'unknown', isUp: true, isRunning: true } });
    expect(ordered(hung)).toMatchObject({ kind: 'none' });
    const since = { ...newMemory(0), isolatedMs: 90_000 };
    expect(ordered(hung, since)).toMatchObject({ kind: 'halt' });
    expect(decide({ ...APP, stopsInIsolation: false }, since, hung).order).toMatchObject({ kind: 'none' });
  });

  it('while rsiod is about to attach its volumes again, nothing is done', () => {
    const awaited = { holds: 'unknown', isUp: true, isRunning: true } as const;
    expect(ordered(facts('a', { holder: 'a' }, { local: awaited }))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('a', { holder: 'b' }, { local: awaited }))).toMatchObject({ kind: 'none' });
  });

  it('a lost application is cleaned, even while servers are not in reach', () => {
    expect(ordered(facts('a', { holder: 'b' }, { local: { isUp: true } }))).toEqual({ kind: 'clean', why: 'Node b has taken pg' });
    expect(ordered(facts('a', null, { local: { isUp: true } }))).toMatchObject({ kind: 'clean' });
    expect(ordered(facts('a', { note: null }, { local: { isUp: true } })), 'it was never started').toMatchObject({ kind: 'none' });
  });

  it('a volume that a person has attached stays while the application is stopped', () => {
    const note = changed(NOTE, { started: false });
    expect(ordered(facts('a', { holder: 'a', note }, { local: { holds: true } }))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('a', { holder: 'a', note: null }, { local: { holds: true } }))).toMatchObject({ kind: 'none' });
    expect(ordered(facts('a', { holder: 'a', note }, { local: { holds: true, isUp: true } }))).toMatchObject({ kind: 'stop' });
  });
});

describe('notes', () => {
  it('are read as they were written, in ASCII', () => {
    const note = withFailure(newNote('pg', 'a 5000000'), 'a', 7, true, 'über\nall');
    expect(printNote(note)).toMatch(/^[ -~]+$/);
    expect(parseNote(printNote(note), 'pg')).toEqual(note);
    expect(parseNote(null, 'pg')).toBeNull();
  });

  it('of other applications, and damaged ones, are errors', () => {
    expect(() => parseNote(printNote(newNote('other', 'l')), 'pg')).toThrow('give each application volumes of its own');
    for (const text of ['', '{}', '{"version":2}']) expect(() => parseNote(text, 'pg')).toThrow('cannot be used');
  });

  it('keep the latest failures, and fit their bound', () => {
    let note = newNote('n'.repeat(63), `${'n'.repeat(63)} 1796000000000`);
    for (let time = 0; time < 100; time++) note = withFailure(note, 'x'.repeat(63), time, false, 'y'.repeat(500));
    expect(note.failures.at(-1)).toMatchObject({ atMs: 99 });
    expect(printNote(note).length).toBeLessThan(4096);
  });
});
