// Drives the runner of one application with a fake rsiod, a fake machine and a fake clock: what it does in which order, and what it leaves when
// a step fails. The decisions are tested in decider/.

import { beforeEach, describe, expect, it } from 'vitest';
import { RsError } from '@rsio/base/lib/errors';
import { startedNote } from '../decider/decide.ts';
import { changed, parseNote, printNote, withFailure } from '../decider/note.ts';
import { COMMAND_WAIT_MS } from '../limits.ts';
import { FakeNode } from '../testing/fake-node.ts';

let fake: FakeNode;

beforeEach(() => {
  fake = new FakeNode();
});

describe('a start', () => {
  it('attaches, writes a new note, brings up, and then says that it runs; a third look does nothing', async () => {
    const before = parseNote(fake.note, 'pg')!.changes;
    expect(await fake.look()).toEqual(['attach db', 'note', 'attach wal', 'up /dev/db']);
    expect(parseNote(fake.note, 'pg')?.changes).toBe(before + 1);
    expect(await fake.look()).toEqual(['note']);
    expect(await fake.look()).toEqual([]);
    expect(fake.runner.view).toMatchObject({ state: 'running', on: 'a', next: 'b', why: '', remains: false });
  });

  it('takes from a silent node all volumes, and from no other one', async () => {
    Object.assign(fake, { holder: 'b', other: 'b', silentMs: { b: 10_000 } });
    expect(await fake.look()).toEqual(['take db', 'note', 'take wal', 'up /dev/db']);
  });

  it('that was interrupted goes on at the next node, which takes each volume from its own silent holder', async () => {
    Object.assign(fake, { holder: null, other: 'b', silentMs: { b: 10_000 } });
    expect(await fake.look()).toEqual(['attach db', 'note', 'take wal', 'up /dev/db']);
  });

  it('waits while the servers see the holder of another volume, and is not a failure of this node', async () => {
    Object.assign(fake, { other: 'c', silentMs: { c: 0 } });
    expect(await fake.look()).toEqual(['attach db', 'note']);
    expect(fake.runner.view.why).toContain('Node c holds wal');
    expect(await fake.look(5000)).toEqual(['attach db', 'note']);
    fake.other = null;
    expect(await fake.look(5000)).toEqual(['attach db', 'note', 'attach wal', 'up /dev/db']);
    expect(parseNote(fake.note, 'pg')?.failures).toEqual([]);
  });

  it('overwrites no note that another node has written meanwhile', async () => {
    fake.meanwhile = printNote(changed(startedNote('pg', null, 'first'), { enabled: false }));
    expect(await fake.look()).toEqual(['attach db', 'detach db']);
    expect(await fake.look(5000)).toEqual([]);
    expect(fake.runner.view.state).toBe('disabled');
  });

  it('does not begin with a volume that other nodes may write to at the same time', async () => {
    fake.shared.add('db');
    expect(await fake.look()).toEqual(['attach db', 'note', 'attach wal']);
    expect(fake.runner.view.why).toContain('db is shared');
  });

  it('of what this node seems to hold needs a new note, which the servers refuse if it has lost it', async () => {
    Object.assign(fake, { attached: ['db', 'wal'] });
    fake.failing.add('note');
    expect(await fake.look()).toEqual(['attach db', 'note', 'down at once', 'detach wal', 'detach db']);
  });

  it('claims what is attached here already, so that nobody else ends it', async () => {
    Object.assign(fake, { attached: ['db', 'wal'] });
    expect(await fake.look()).toEqual(['attach db', 'note', 'attach wal', 'up /dev/db']);
  });

  it('touches nothing on this machine before the first start', async () => {
    Object.assign(fake, { note: null, isUp: true, service: 'running' });
    expect(await fake.look()).toEqual([]);
    expect(fake.runner.isHere).toBe(false);
  });

  it('whose note cannot be written keeps no volumes', async () => {
    fake.note = printNote(changed(startedNote('pg', null, 'first'), { preferred: 'a', preferredMs: fake.clock.wallMs() }));
    fake.failing.add('note');
    expect(await fake.look()).toEqual(['attach db', 'note', 'down at once', 'detach db']);
    expect(fake.holder).toBeNull();
    expect(await fake.look(), 'it waits before it tries again').toEqual([]);
    fake.failing.clear();
    expect(await fake.look(5000)).toEqual(['attach db', 'note', 'attach wal', 'up /dev/db']);
  });

  it('that fails is noted, and the application is given away', async () => {
    fake.failing.add('up /dev/db');
    await fake.look();
    expect(await fake.look(), 'at once').toEqual(['note', 'down orderly', 'detach wal', 'detach db']);
    expect(parseNote(fake.note, 'pg')).toMatchObject({ preferred: 'b', failures: [{ node: 'a', final: true }], why: 'up /dev/db failed' });
  });

  it('does not follow an attach that another node was faster with', async () => {
    fake.failing.add('attach db');
    expect(await fake.look()).toEqual(['attach db']);
    expect(parseNote(fake.note, 'pg')?.failures).toEqual([]);
  });
});

describe('while it runs', () => {
  beforeEach(async () => {
    for (let time = 0; time < 2; time++) await fake.look();
  });

  it('a failed check restarts it, and a check that began before the restart does not count', async () => {
    fake.unwell = 'bad';
    expect(await fake.look(5000)).toEqual(['note', 'restart']);
    expect(await fake.look(1000), 'the next check is not due').toEqual([]);
    expect(await fake.look(5000)).toEqual(['note', 'down orderly', 'detach wal', 'detach db']);
    expect(parseNote(fake.note, 'pg')).toMatchObject({ preferred: 'b', why: 'bad' });
  });

  it('a service that ends by itself is restarted', async () => {
    fake.service = 'stopped';
    expect(await fake.look()).toEqual(['note', 'restart']);
  });

  it('when another node has taken it, all is removed here, and tried again until it is', async () => {
    Object.assign(fake, { attached: ['wal'], holder: 'b', silentMs: { b: 0 } });
    fake.failing.add('down at once');
    expect(await fake.look()).toEqual(['down at once']);
    expect(fake.runner.view).toMatchObject({ why: 'down at once failed', remains: true });
    fake.failing.clear();
    expect(await fake.look(5000)).toEqual(['down at once', 'detach wal']);
    await fake.look();
    expect(fake.runner.view).toMatchObject({ state: 'running', on: 'b' });
  });

  it('when another node takes it before a note of this one, nothing waits for an orderly stop', async () => {
    Object.assign(fake, { service: 'stopped', isTakenAtNote: true });
    expect(await fake.look()).toEqual(['note', 'down at once', 'detach wal']);
    expect(await fake.look(), 'nothing is left').toEqual([]);
    fake = new FakeNode();
    await fake.look();
    Object.assign(fake, { isDrained: true, isTakenAtNote: true });
    expect(await fake.look()).toEqual(['note', 'down at once', 'detach wal']);
  });

  it('an rsiod that restarts, and whose volumes come back, does not end it', async () => {
    Object.assign(fake, { attached: [], awaited: ['db', 'wal'] });
    expect(await fake.look()).toEqual([]);
    Object.assign(fake, { attached: ['db', 'wal'], awaited: [] });
    expect(await fake.look()).toEqual([]);
  });

  it('an rsiod that hangs ends it after the time of silence, and it starts again when nobody has taken it', async () => {
    expect(await fake.look(1000, false)).toEqual([]);
    expect(await fake.look(10_000, false)).toEqual(['down at once']);
    expect(await fake.look()).toEqual(['attach db', 'note', 'attach wal', 'up /dev/db']);
  });

  it('a stop is an order, and what it leaves is tried again', async () => {
    const stopped = fake.runner.commands.give('stop', null);
    fake.failing.add('down orderly');
    expect(await fake.look()).toEqual(['note']);
    expect(await fake.look()).toEqual(['down orderly']);
    fake.failing.clear();
    expect(await fake.look(5000)).toEqual(['down orderly', 'detach wal', 'detach db']);
    await fake.look();
    await stopped;
    expect(fake.runner.view).toMatchObject({ state: 'stopped', on: null });
  });

  it('a move names the node in the note; a node that is silent is refused', async () => {
    fake.silentMs = { b: 20_000 };
    const refused = fake.runner.commands.give('move', 'b');
    await fake.look();
    await expect(refused).rejects.toThrow('The servers have no path of node b');
    fake.silentMs = { b: 0 };
    const moved = fake.runner.commands.give('move', 'b');
    await fake.look();
    expect(await fake.look()).toEqual(['down orderly', 'detach wal', 'detach db']);
    fake.startedAt('b');
    await fake.look();
    await moved;
  });

  it('a move without a node goes to the next one, and is done when that one has it', async () => {
    fake.silentMs = { b: 0 };
    let isDone = false;
    const moved = fake.runner.commands.give('move', null).then(() => (isDone = true));
    for (let time = 0; time < 3; time++) await fake.look();
    expect([fake.holder, isDone]).toEqual([null, false]);
    fake.holder = 'b';
    await fake.look();
    expect(isDone, 'that node has not begun the start').toBe(false);
    fake.startedAt('b');
    await fake.look();
    await moved;
  });

  it('a service that needs long for its end moves all the same: the next node has its turn from then on', async () => {
    Object.assign(fake, { silentMs: { b: 0 }, downMs: 50_000 });
    const moved = fake.runner.commands.give('move', 'b');
    await fake.look();
    expect(await fake.look()).toEqual(['down orderly', 'note', 'detach wal', 'detach db']);
    expect(parseNote(fake.note, 'pg')).toMatchObject({ preferred: 'b', preferredMs: fake.clock.wallMs() });
    expect(await fake.look(), 'it does not come back').toEqual([]);
    fake.startedAt('b');
    await fake.look();
    await moved;
  });

  it('its state is right at the end of an order', async () => {
    expect(fake.runner.view.state).toBe('running');
    fake.isDrained = true;
    await fake.look();
    expect([fake.runner.isHere, fake.runner.isHeld]).toEqual([false, false]);
  });

  it('a drain gives it away', async () => {
    fake.isDrained = true;
    expect(await fake.look()).toEqual(['note', 'down orderly', 'detach wal', 'detach db']);
    expect(parseNote(fake.note, 'pg')?.preferred).toBe('b');
  });
});

describe('orders', () => {
  it('for an application of another node are refused with its name', async () => {
    Object.assign(fake, { holder: 'b', silentMs: { b: 0 } });
    const refused = fake.runner.commands.give('stop', null);
    await fake.look();
    await expect(refused).rejects.toMatchObject({ code: 'E_HELD', message: 'Node b has pg: give the order there' });
  });

  it('a start is done when it runs somewhere: the hold of another node is not enough', async () => {
    fake.failing.add('up /dev/db');
    fake.silentMs = { b: 0 };
    let isDone = false;
    const started = fake.runner.commands.give('start', null).then(() => (isDone = true));
    for (let time = 0; time < 3; time++) await fake.look();
    fake.startedAt('b', false);
    await fake.look();
    expect([fake.runner.view.state, isDone], 'node b has begun').toEqual(['starting', false]);
    fake.startedAt('b');
    await fake.look();
    await started;
    expect(fake.runner.view).toMatchObject({ state: 'running', on: 'b' });
  });

  it('a start that fails here while no other node is ready says so', async () => {
    fake.failing.add('up /dev/db');
    fake.silentMs = { b: 20_000 };
    const started = fake.runner.commands.give('start', null);
    const refused = expect(started).rejects.toThrow('It failed on a, and no other node is ready: up /dev/db failed');
    for (let time = 0; time < 4; time++) await fake.look();
    await refused;
    expect(fake.runner.view.why).toMatch(/^It has failed here, and is tried here again at /);
  });

  it('a start that waits too long says what it waits for', async () => {
    const others = fake.runner.commands.give('start', null);
    fake.isSure = false;
    const refused = expect(others).rejects.toThrow('not done within 300 s (Too few servers answer); rsiod or too few servers answer');
    await fake.look();
    await fake.look(COMMAND_WAIT_MS);
    await refused;
  });

  it('a move to a node that does not take it ends when it runs here again', async () => {
    fake.silentMs = { b: 0 };
    for (let time = 0; time < 2; time++) await fake.look();
    const refused = expect(fake.runner.commands.give('move', 'b')).rejects.toThrow(/^b did not take pg; it runs on a$/);
    for (let time = 0; time < 2; time++) await fake.look();
    expect(await fake.look(1000), 'node b has its turn').toEqual([]);
    expect(await fake.look(20_000)).toEqual(['attach db', 'note', 'attach wal', 'up /dev/db']);
    await refused;
    for (let time = 0; time < 2; time++) await fake.look();
    expect(fake.runner.view).toMatchObject({ state: 'running', next: 'b', why: 'b has not taken it in its turn: is it drained?' });
  });

  it('a move to a node where it fails gives the failure', async () => {
    fake.silentMs = { b: 0 };
    for (let time = 0; time < 2; time++) await fake.look();
    const refused = expect(fake.runner.commands.give('move', 'b')).rejects.toThrow('b did not take pg; it runs on a: no mount');
    for (let time = 0; time < 2; time++) await fake.look();
    const failed = withFailure(parseNote(fake.note, 'pg')!, 'b', fake.clock.wallMs(), true, 'no mount');
    fake.note = printNote(changed(failed, { preferred: 'a' }));
    for (let time = 0; time < 2; time++) await fake.look();
    await refused;
  });

  it('while the servers do not see the holder, a start takes it from there, and other orders name that command', async () => {
    fake.note = printNote(withFailure(changed(startedNote('pg', null, 'first'), { runs: true }), 'a', fake.clock.wallMs(), true, 'x'));
    Object.assign(fake, { holder: 'b', other: 'b', silentMs: { b: 20_000 } });
    for (const order of ['stop', 'move', 'enable'] as const) {
      const refused = expect(fake.runner.commands.give(order, null)).rejects.toThrow('rsconfig app start pg takes it over to this node');
      expect(await fake.look(), 'it has failed here').toEqual([]);
      await refused;
    }
    const started = fake.runner.commands.give('start', null);
    expect(await fake.look()).toEqual(['take db', 'note', 'take wal', 'up /dev/db']);
    await started;
    expect(parseNote(fake.note, 'pg')?.failures).toEqual([]);
  });

  it('a start on a drained node, and one of what is disabled at a silent holder, name the way out', async () => {
    fake.isDrained = true;
    const drained = expect(fake.runner.commands.give('start', null)).rejects.toThrow('This node is drained: rsconfig node drain --end');
    await fake.look();
    await drained;
    fake = new FakeNode();
    fake.note = printNote(changed(startedNote('pg', null, 'first'), { enabled: false }));
    Object.assign(fake, { holder: 'b', silentMs: { b: 20_000 } });
    const disabled = expect(fake.runner.commands.give('start', null)).rejects.toThrow(
      'rsconfig -a --take-over db, then rsconfig app enable pg',
    );
    await fake.look();
    await disabled;
  });

  it('nothing starts before the first order; a start writes the note first', async () => {
    fake.note = null;
    expect(await fake.look()).toEqual([]);
    expect(fake.runner.view.state).toBe('new');
    const started = fake.runner.commands.give('start', null);
    expect(await fake.look()).toEqual(['attach db', 'note']);
    expect(await fake.look()).toEqual(['attach db', 'note', 'attach wal', 'up /dev/db']);
    await fake.look();
    await started;
  });

  it('disable needs the volume for a moment, and leaves it', async () => {
    const done = fake.runner.commands.give('disable', null);
    expect(await fake.look()).toEqual(['attach db', 'note', 'detach db']);
    await fake.look();
    await done;
    expect(fake.runner.view.state).toBe('disabled');
    const refused = fake.runner.commands.give('start', null);
    await fake.look();
    await expect(refused).rejects.toThrow('pg is disabled');
  });
});

describe('events and figures', () => {
  it('tell each change once: start, failure, restart, the move of what fails again', async () => {
    for (let time = 0; time < 2; time++) await fake.look();
    fake.unwell = 'bad';
    for (const afterMs of [4000, 1000, 4000]) await fake.look(afterMs);
    fake.unwell = null;
    fake.startedAt('b');
    await fake.look();
    expect(fake.told).toEqual([
      'starting > running on a: ',
      '- > failed: bad',
      'running on a > starting on a: bad',
      '- > restart: bad',
      'starting on a > running on a: ',
      '- > failed: bad',
      'running on a > stopping on a: It failed here, and b is to take it: bad',
      'stopping on a > running on b: ',
    ]);
    expect(fake.runner.figures).toMatchObject({ restarts: 1, failures: 2, moves: 1, failedNodes: 1, isMissing: false });
  });

  it('say what cannot be removed once, until it is', async () => {
    await fake.look();
    Object.assign(fake, { attached: ['wal'], holder: 'b', silentMs: { b: 0 } });
    fake.failing.add('down at once');
    for (let time = 0; time < 3; time++) await fake.look(5000);
    expect(fake.told.filter((told) => told.includes('not removed'))).toEqual(['- > not removed: down at once failed']);
    expect(fake.runner.view.remains).toBe(true);
    fake.failing.clear();
    await fake.look(5000);
    expect(fake.runner.view.remains).toBe(false);
  });

  it('say that a start has failed, and what is given up is missing', async () => {
    fake.failing.add('up /dev/db');
    await fake.look();
    expect(fake.told).toContain('- > start failed: up /dev/db failed');
    const failures = ['a', 'b'].map((node) => ({ node, atMs: fake.clock.wallMs(), final: true }));
    fake = new FakeNode();
    fake.note = printNote(changed(startedNote('pg', null, 'first'), { started: false, failures, why: 'x' }));
    await fake.look(1_000_000);
    expect(fake.runner.figures).toMatchObject({ failedNodes: 2, isMissing: true });
    expect(fake.runner.view).toMatchObject({ state: 'stopped', failed: true, why: 'It failed on all nodes: x' });
    const stopped = fake.runner.commands.give('stop', null);
    for (let time = 0; time < 3; time++) await fake.look();
    await stopped;
    expect(fake.runner.view, 'an order of a person ends that').toMatchObject({ state: 'stopped', failed: false, why: 'It is stopped' });
  });
});

describe('what hinders every order', () => {
  it('a machine without systemd: nothing is decided, the reason is shown, and logged once', async () => {
    const error = new RsError('E_SYSTEM', 'systemd does not answer on this machine');
    Object.assign(fake, { note: null, machineError: error });
    for (let time = 0; time < 3; time++) expect(await fake.look()).toEqual([]);
    expect(fake.runner.view).toMatchObject({ state: 'unknown', why: error.message });
    expect(fake.runner.refusal).toBe(error);
    expect(fake.lines).toEqual([`pg: ${error.message}`]);
    Object.assign(fake, { holder: 'b', silentMs: { b: 0 }, note: printNote(changed(startedNote('pg', null, 'first'), { runs: true })) });
    await fake.look();
    expect(fake.runner.view).toMatchObject({ state: 'running', on: 'b', why: error.message });
    fake.machineError = null;
    await fake.look();
    expect([fake.runner.refusal, fake.runner.view.why]).toEqual([null, '']);
  });

  it('a volume that no server has is the reason why its state is not known', async () => {
    const error = new RsError('E_UNKNOWN_VOLUME', 'No server in reach has volume db');
    fake.sightError = error;
    for (let time = 0; time < 2; time++) await fake.look();
    expect(fake.runner.view).toMatchObject({ state: 'unknown', why: error.message });
    expect([fake.runner.refusal, fake.lines]).toEqual([error, [`pg: ${error.message}`]]);
    fake.sightError = new RsError('E_TIMEOUT', 'rsiod did not answer');
    await fake.look();
    expect(fake.runner.refusal, 'this ends by itself').toBeNull();
  });

  it('a note that cannot be read is logged once', async () => {
    fake.note = '{';
    for (let time = 0; time < 3; time++) await fake.look();
    expect(fake.lines).toEqual([expect.stringContaining('The note at the first volume of pg cannot be used')]);
    expect(fake.runner.view.why).toContain('cannot be used');
  });
});

it('a start that fails again and again leaves its lines and events once, with the reason', async () => {
  fake.failing.add('attach db');
  for (let time = 0; time < 6; time++) await fake.look(3000);
  expect(fake.lines).toEqual(['pg: attach db failed', 'pg is waiting: attach db failed']);
  expect(fake.told).toEqual(['starting > waiting: attach db failed']);
  fake.failing.clear();
  for (let time = 0; time < 3; time++) await fake.look(3000);
  expect(fake.lines.slice(2)).toEqual(['pg runs on this node', 'pg is running on a']);
});
