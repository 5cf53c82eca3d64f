// Task management: what is aborted, what is answered, and when. The oracle is the volume: no function is answered while the volume is
// executing a task to which the function applies.

import { describe, expect, it } from 'vitest';
import { cdb10, cdb6, ScsiRig } from './testing/scsi-rig.ts';

const BLOCK = 512;
const write = (lba: number): Buffer => cdb10(0x2a, lba, 1);
const out = Buffer.alloc(BLOCK, 1);

describe('a task management function', () => {
  it('ABORT TASK is answered when the task has ended, and the task never', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    const [one, other] = [host.start(write(0), { out }), host.start(write(5), { out })];
    const abort = host.manage('abort task', one);
    expect(abort.answer).toBe(null);
    expect(host.manage('abort task', 77).answer).toBe('no task');
    expect(host.manage('abort task', one, 3).answer).toBe('no unit');
    rig.settle();
    expect(abort.answer).toBe('complete');
    expect([host.answerTo(one), host.answerTo(other)?.short]).toEqual([null, 'good']);
    expect(host.manage('abort task', other).answer).toBe('no task');
    expect(host.under.size).toBe(0);
  });

  it('drops a task whose data is on its way', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    const tag = host.start(write(0), { out }, true);
    expect(host.manage('abort task', tag).answer).toBe('complete');
    expect(host.planned.size).toBe(0);
  });

  it('a task of several requests ends with the one that the volume has', () => {
    const rig = new ScsiRig({ sizeBytes: 4 * 1024 * 1024 });
    const host = rig.host();
    const tag = host.start(cdb10(0x2f, 0, 8000));
    const abort = host.manage('abort task', tag);
    rig.complete();
    expect([abort.answer, rig.unit.volume.seen.length]).toEqual(['complete', 1]);
  });

  it('ABORT TASK SET means the tasks of the host at one unit', () => {
    const rig = new ScsiRig();
    rig.newUnit(1, '3'.repeat(32));
    const [host, other] = [rig.host('a'), rig.host('b')];
    const tags = [host.start(write(0), { out }), host.start(write(1), { out }), host.start(write(1), { out, lun: 1 })];
    const kept = other.start(write(9), { out });
    const abort = host.manage('abort task set');
    rig.settle();
    expect(abort.answer).toBe('complete');
    expect(tags.map((tag) => host.answerTo(tag)?.short)).toEqual([undefined, undefined, 'good']);
    expect(other.answerTo(kept)?.short).toBe('good');
    expect(other.send(cdb6(0)).short).toBe('good');
  });

  it('CLEAR TASK SET means the tasks of all hosts, and tells the others', () => {
    const rig = new ScsiRig();
    const [host, other, idle] = [rig.host('a'), rig.host('b'), rig.host('c')];
    const tag = other.start(write(0), { out });
    other.start(write(2), { out }, true);
    const clear = host.manage('clear task set');
    expect([clear.answer, other.planned.size]).toEqual([null, 0]);
    rig.settle();
    expect([clear.answer, other.answerTo(tag)]).toEqual(['complete', null]);
    expect([other.send(cdb6(0)).short, host.send(cdb6(0)).short, idle.send(cdb6(0)).short]).toEqual(['6/2f00', 'good', 'good']);
  });

  it('a reset tells all hosts, and waits for the I/O of hosts that have left', () => {
    const rig = new ScsiRig();
    const [host, other] = [rig.host('a'), rig.host('b')];
    other.start(write(0), { out });
    const ended = other.end();
    const reset = host.manage('lun reset');
    expect([ended.hasEnded, reset.answer]).toEqual([false, null]);
    rig.settle();
    expect([ended.hasEnded, reset.answer]).toEqual([true, 'complete']);
    expect([host.send(cdb6(0)).short, host.send(cdb6(0)).short]).toEqual(['6/2903', 'good']);
  });

  it('that waits for more than 10 s closes the connection without an answer', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    host.start(write(0), { out });
    const reset = host.manage('target cold reset');
    rig.nowMs += 10_001;
    rig.target.tick();
    expect([host.closedFor, reset.answer]).toEqual(['target cold reset waited 10000 ms for the end of I/O', null]);
    host.end();
    rig.settle();
    expect(reset.answer).toBe(null);
  });

  it('QUERY TASK says whether a task is there', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    const tag = host.start(write(0), { out });
    expect([host.manage('query task', tag).answer, host.manage('query task set').answer]).toEqual(['succeeded', 'succeeded']);
    rig.settle();
    expect([host.manage('query task', tag).answer, host.manage('query task set').answer]).toEqual(['no task', 'no task']);
  });

  it('an aborted task that waits for a range is not executed', () => {
    const rig = new ScsiRig();
    const host = rig.host();
    host.start(Buffer.from([0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]), { out });
    const waiting = host.start(write(0), { out });
    const abort = host.manage('abort task', waiting);
    rig.settle();
    expect([abort.answer, host.answerTo(waiting)]).toEqual(['complete', null]);
    expect(rig.unit.volume.seen).toEqual(['read 0+512', 'write 0+512']);
  });
});

describe('the end of a nexus', () => {
  it('is told when no volume has anything of it, and nothing more is executed', () => {
    const rig = new ScsiRig({ sizeBytes: 4 * 1024 * 1024 });
    const host = rig.host();
    host.start(cdb10(0x2f, 0, 8000));
    host.start(write(0), { out });
    const ended = host.end();
    expect([ended.hasEnded, host.nexus.inVolume]).toEqual([false, 2]);
    rig.complete();
    expect([ended.hasEnded, host.nexus.inVolume, host.answers.length, rig.unit.volume.seen.length]).toEqual([true, 0, 0, 2]);
  });
});
