// Persistent reservations of SCSI: random histories of four nexuses against a small model of SPC-4, 5.12; then durability, I/O that must
// end first, and NVMe hosts beside SCSI hosts. The model is written from the standard's tables, without the code of the engine.

import { RsError } from '@rsio/base/lib/errors';
import { STATUS } from '@rsio/protocol/wire/status';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cdb10, cdb6, prIn, prList, prOut, type RigHost, ScsiRig } from './testing/scsi-rig.ts';

const BLOCK = 512;
const out = Buffer.alloc(BLOCK, 1);
const [REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE] = [0, 1, 2, 3, 4, 5, 6];
const TYPES = [1, 3, 5, 6, 7, 8];

interface Step {
  readonly who: number;
  readonly action: number;
  readonly type: number;
  readonly key: number;
  readonly serviceKey: number;
}

/** The state of a unit according to SPC-4. `holder`: the number of a nexus, or -1 if all registrants are holders. */
class Model {
  readonly keys = new Map<number, number>();
  type = 0;
  holder = -1;
  generation = 0;

  isHolder(who: number): boolean {
    return this.type !== 0 && (this.isOfAll ? this.keys.has(who) : this.holder === who);
  }

  get isOfAll(): boolean {
    return this.type >= 7;
  }

  do({ who, action, type, key, serviceKey }: Step): string {
    const own = this.keys.get(who) ?? 0;
    if (action === REGISTER || action === REGISTER_AND_IGNORE) {
      if (action === REGISTER && key !== own) return 'conflict';
      if (serviceKey === 0 && own === 0) return 'good';
      this.generation++;
      if (serviceKey === 0) this.unregister(who);
      else this.keys.set(who, serviceKey);
      return 'good';
    }
    if (own === 0 || own !== key) return 'conflict';
    switch (action) {
      case RESERVE:
        if (this.type === 0) this.hold(who, type);
        else if (!this.isHolder(who) || this.type !== type) return 'conflict';
        return 'good';
      case RELEASE:
        if (!this.isHolder(who)) return 'good';
        if (this.type !== type) return '5/2604';
        this.type = 0;
        return 'good';
      case CLEAR:
        this.generation++;
        this.type = 0;
        this.keys.clear();
        return 'good';
      default:
        return this.preempt(who, type, serviceKey);
    }
  }

  private hold(who: number, type: number): void {
    this.type = type;
    this.holder = type >= 7 ? -1 : who;
  }

  private unregister(who: number): void {
    const wasHolder = this.isHolder(who);
    this.keys.delete(who);
    if (wasHolder && (!this.isOfAll || this.keys.size === 0)) this.type = 0;
  }

  private preempt(who: number, type: number, victim: number): string {
    const takesAll = this.type !== 0 && this.isOfAll && victim === 0;
    const takesHolder = this.type !== 0 && !this.isOfAll && this.keys.get(this.holder) === victim;
    if (victim === 0 && !takesAll) return this.type === 0 ? 'conflict' : '5/2600';
    const gone = [...this.keys].filter(([one, key]) => (takesAll ? one !== who : key === victim && !(takesHolder && one === who)));
    if (gone.length === 0 && !takesAll && !takesHolder) return 'conflict';
    this.generation++;
    for (const [one] of gone) this.unregister(one);
    if (takesAll || takesHolder) this.hold(who, type);
    return 'good';
  }

  may(who: number, isWrite: boolean): boolean {
    if (this.type === 0 || (!isWrite && [1, 5, 7].includes(this.type))) return true;
    return this.type >= 5 ? this.keys.has(who) : this.holder === who;
  }
}

const step: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(3),
  action: fc.constantFrom(REGISTER, REGISTER, RESERVE, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE),
  type: fc.constantFrom(...TYPES),
  key: fc.nat(3),
  serviceKey: fc.nat(3),
}) as fc.Arbitrary<Step>;

function inOrder(keys: readonly number[]): number[] {
  return keys.toSorted((one, other) => one - other);
}

/** Discards a host's pending unit attentions. */
function quiet(host: RigHost): void {
  while (host.send(cdb6(0x03, 0, 0, 0, 18)).data[2] !== 0);
}

function act(host: RigHost, { action, type, key, serviceKey }: Omit<Step, 'who'>): Promise<{ short: string }> {
  return host.sendAsync(prOut(action, type), { out: prList(BigInt(key), BigInt(serviceKey)) });
}

async function keysOf(host: RigHost): Promise<{ generation: number; keys: number[] }> {
  const { data } = await host.sendAsync(prIn(0));
  const keys = Array.from({ length: data.readUInt32BE(4) / 8 }, (_, index) => Number(data.readBigUInt64BE(8 + 8 * index)));
  return { generation: data.readUInt32BE(0), keys: inOrder(keys) };
}

describe('random histories of four nexuses', () => {
  it('are as the model says', async () => {
    const run = fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const [rig, model] = [new ScsiRig(), new Model()];
      // Two hosts with two ports each: each nexus registers for itself.
      const hosts = [rig.host('a', 1), rig.host('a', 2), rig.host('b', 1), rig.host('b', 2)];
      for (const one of steps) {
        const host = hosts[one.who]!;
        quiet(host);
        expect((await act(host, one)).short).toBe(model.do(one));
        const found = await keysOf(host);
        expect(found).toEqual({ generation: model.generation, keys: inOrder([...model.keys.values()]) });
        const held = (await host.sendAsync(prIn(1))).data;
        expect(held.readUInt32BE(4)).toBe(model.type === 0 ? 0 : 16);
        if (model.type !== 0) {
          expect(held[21]).toBe(model.type);
          expect(Number(held.readBigUInt64BE(8))).toBe(model.isOfAll ? 0 : model.keys.get(model.holder));
        }
      }
      for (const [who, host] of hosts.entries()) {
        quiet(host);
        expect(host.send(cdb10(0x28, 0, 1)).short).toBe(model.may(who, false) ? 'good' : 'conflict');
        expect(host.send(cdb10(0x2a, 0, 1), { out }).short).toBe(model.may(who, true) ? 'good' : 'conflict');
      }
    });
    await fc.assert(run, { numRuns: 60, seed: 40 });
  });
});

describe('a reservation', () => {
  async function pair(): Promise<{ rig: ScsiRig; host: RigHost; other: RigHost }> {
    const rig = new ScsiRig();
    const [host, other] = [rig.host('a'), rig.host('b')];
    await act(host, { action: REGISTER, type: 0, key: 0, serviceKey: 1 });
    await act(other, { action: REGISTER, type: 0, key: 0, serviceKey: 2 });
    return { rig, host, other };
  }

  it('is answered when it is durable, and refuses I/O before', async () => {
    const { rig, host, other } = await pair();
    rig.isAuto = false;
    const tag = host.start(prOut(RESERVE, 3), { out: prList(1n, 0n) });
    expect(other.send(cdb10(0x2a, 0, 1), { out }).short).toBe('conflict');
    expect(host.answerTo(tag)).toBe(null);
    rig.saves[0]?.resolve();
    await Promise.resolve();
    await Promise.resolve();
    expect(host.answerTo(tag)?.short).toBe('good');
    expect(rig.saved.at(-1)).toMatchObject({ type: 2, holder: 'scsi 1 iqn.2026-01.example:a,i,0x000000000001' });
  });

  it('that may have been saved gets no answer, and counts until another one is saved', async () => {
    const { rig, host, other } = await pair();
    rig.isAuto = false;
    const tag = host.start(prOut(RESERVE, 3), { out: prList(1n, 0n) });
    rig.saves[0]?.reject(new Error('no path'));
    for (let round = 0; round < 4; round++) await Promise.resolve();
    expect([host.answerTo(tag), host.closedFor, host.under.size]).toEqual([null, 'nobody knows whether its reservation was saved', 0]);
    expect(other.send(cdb10(0x2a, 0, 1), { out }).short).toBe('conflict');
  });

  it('that could not be saved is busy, and does not count', async () => {
    const { rig, host, other } = await pair();
    rig.isAuto = false;
    const tag = host.start(prOut(RESERVE, 3), { out: prList(1n, 0n) });
    rig.saves[0]?.reject(new RsError('E_SPACE', 'full', { status: STATUS.NO_SPACE }));
    for (let round = 0; round < 4; round++) await Promise.resolve();
    expect(host.answerTo(tag)?.short).toBe('busy');
    expect(other.send(cdb10(0x2a, 0, 1), { out }).short).toBe('good');
  });

  it('is answered when the I/O that it refuses has ended, also that of a host that has left', async () => {
    const { rig, host, other } = await pair();
    other.start(cdb10(0x2a, 0, 1), { out });
    other.end();
    const tag = host.start(prOut(PREEMPT_AND_ABORT, 3), { out: prList(1n, 2n) });
    const reserve = host.start(prOut(RESERVE, 3), { out: prList(1n, 0n) });
    for (let round = 0; round < 4; round++) await Promise.resolve();
    expect([host.answerTo(tag)?.short, host.answerTo(reserve)]).toEqual(['good', null]);
    rig.settle();
    for (let round = 0; round < 4; round++) await Promise.resolve();
    expect(host.answerTo(reserve)?.short).toBe('good');
  });

  it('that waits for more than 10 s closes the connection', async () => {
    const { rig, host, other } = await pair();
    other.start(cdb10(0x2a, 0, 1), { out });
    host.start(prOut(RESERVE, 3), { out: prList(1n, 0n) });
    await Promise.resolve();
    rig.nowMs += 10_001;
    rig.target.tick();
    expect(host.closedFor).toBe('a reservation waited 10000 ms for its end');
    host.end();
    rig.settle();
    expect(host.under.size).toBe(0);
  });

  it('refuses a write whose data arrives after the reservation', async () => {
    const { rig, host, other } = await pair();
    const tag = other.start(cdb10(0x2a, 0, 1), { out }, true);
    await act(host, { action: RESERVE, type: 1, key: 1, serviceKey: 0 });
    other.release(tag);
    rig.settle();
    expect([other.answerTo(tag)?.short, rig.unit.volume.seen]).toEqual(['conflict', []]);
    // The later requests of a task are admitted one by one.
    expect(other.send(cdb10(0x2f, 0, 8)).short).toBe('good');
  });

  it.each([
    [PREEMPT, 3, '6/2a05'],
    [CLEAR, 3, '6/2a03'],
  ])('tells other registrants (action %i)', async (action, type, told) => {
    const { host, other } = await pair();
    await act(host, { action, type, key: 1, serviceKey: 2 });
    expect(other.send(cdb6(0)).short).toBe(told);
  });

  it('for registrants that is released tells them', async () => {
    const { host, other } = await pair();
    await act(host, { action: RESERVE, type: 6, key: 1, serviceKey: 0 });
    await act(host, { action: RELEASE, type: 6, key: 1, serviceKey: 0 });
    expect(other.send(cdb6(0)).short).toBe('6/2a04');
  });

  it('excludes RESERVE, and is excluded by it', async () => {
    const { host } = await pair();
    expect(host.send(cdb6(0x16)).short).toBe('conflict');
    const rig = new ScsiRig();
    const [one, other] = [rig.host('a'), rig.host('b')];
    one.send(cdb6(0x16));
    expect((await act(other, { action: REGISTER, type: 0, key: 0, serviceKey: 2 })).short).toBe('conflict');
  });

  it.each([
    ['another length', prOut(REGISTER).fill(30, 8, 9), prList(0n, 1n), '5/1a00'],
    ['ports in the list', prOut(REGISTER), prList(0n, 1n, 0x08), '5/2600'],
    ['all target ports', prOut(REGISTER), prList(0n, 1n, 0x04), '5/2600'],
    ['an unknown type', prOut(RESERVE, 2), prList(0n, 1n), '5/2400'],
    ['an unknown scope', prOut(RESERVE, 0x13), prList(0n, 1n), '5/2400'],
    ['an unknown action', prOut(7), prList(0n, 1n), '5/2400'],
  ])('with %s is refused', async (_, cdb, list, short) => {
    expect((await new ScsiRig().host().sendAsync(cdb, { out: list })).short).toBe(short);
  });

  it('is shown with its capabilities and its registrants, those of NVMe too', async () => {
    const registrants = [{ hostId: 'ab'.repeat(16), hostNqn: 'nqn', key: '0000000000000007' }];
    const rig = new ScsiRig({ state: { generation: 3, type: 3, holder: registrants[0]!.hostId, ptpl: true, registrants } });
    const host = rig.host();
    expect((await host.sendAsync(prIn(2))).data.toString('hex')).toBe('00080181ea010000');
    await host.sendAsync(prOut(REGISTER), { out: prList(0n, 9n) });
    const { data } = await host.sendAsync(prIn(3));
    expect(data.readUInt32BE(4)).toBe(data.length - 8);
    const first = data.readUInt32BE(8 + 20);
    expect([Number(data.readBigUInt64BE(8)), data[20], data[21]]).toEqual([7, 1, 5]);
    const at = 8 + 24 + first;
    expect([Number(data.readBigUInt64BE(at)), data[at + 12], data.readUInt16BE(at + 18), data[at + 24]]).toEqual([9, 0, 1, 0x45]);
    expect(
      data
        .subarray(at + 28)
        .toString()
        .replaceAll('\0', ''),
    ).toBe('iqn.2026-01.example:a,i,0x000000000001');
    expect(host.send(cdb10(0x2a, 0, 1), { out }).short).toBe('good');
    expect(rig.host('c').send(cdb10(0x2a, 0, 1), { out }).short).toBe('conflict');
  });
});
