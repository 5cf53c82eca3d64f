// Logins of iSCSI: who gets in, what is negotiated, and what is refused; a login in the place of an earlier session. The oracle is a raw
// initiator.

import { describe, expect, it } from 'vitest';
import { GATE_HOST_LOGINS_MAX, GATE_LOGIN_REQUESTS_MAX, GATE_QUIESCE_MS, GATE_SESSIONS_MAX } from '../limits.ts';
import { chapResponse, HOST, keysOf, loginPdu, read10 } from './testing/iscsi-host.ts';
import { IscsiRig, RigHost, TARGET } from './testing/iscsi-rig.ts';

const NAMES = { InitiatorName: HOST, SessionType: 'Normal', TargetName: TARGET };
const SECRET = 'a-secret-of-host';
const OWN = 'a-secret-of-gate';

function secured(own = true): IscsiRig {
  const secrets = new Map([[HOST, { hash: 0, key: Buffer.from(SECRET) }]]);
  if (own) secrets.set(TARGET, { hash: 0, key: Buffer.from(OWN) });
  return new IscsiRig({ config: { secretFile: '/s', secrets } });
}

function statusOf(host: RigHost, keys: Readonly<Record<string, string>>, stage: 0 | 1 = 1, next: 1 | 3 | null = 3): number | undefined {
  const fields = next === null ? { stage, keys } : { stage, next, keys };
  return host.send(loginPdu(fields)).at(-1)?.head.readUInt16BE(36);
}

describe('negotiation', () => {
  it('keeps each value within the bounds of the gate', () => {
    const host = new RigHost(new IscsiRig());
    const offered = {
      HeaderDigest: 'None,CRC32C',
      DataDigest: 'CRC32C,None',
      MaxBurstLength: '16776192',
      FirstBurstLength: '16776192',
      InitialR2T: 'No',
      ImmediateData: 'Yes',
      MaxConnections: '8',
      MaxOutstandingR2T: '16',
      ErrorRecoveryLevel: '2',
      DataPDUInOrder: 'No',
      DataSequenceInOrder: 'No',
      DefaultTime2Wait: '2',
      DefaultTime2Retain: '20',
      OFMarker: 'Yes',
      MaxRecvDataSegmentLength: '8192',
      'X-org.example': '1',
      IFMarkInt: '1~2',
    };
    const [answer] = host.send(loginPdu({ stage: 1, next: 3, keys: { ...NAMES, ...offered } }));
    expect(keysOf(answer!.data)).toEqual({
      TargetPortalGroupTag: '1',
      HeaderDigest: 'None',
      DataDigest: 'CRC32C',
      MaxBurstLength: '1048576',
      FirstBurstLength: '262144',
      InitialR2T: 'No',
      ImmediateData: 'Yes',
      MaxConnections: '1',
      MaxOutstandingR2T: '1',
      ErrorRecoveryLevel: '0',
      DataPDUInOrder: 'Yes',
      DataSequenceInOrder: 'Yes',
      DefaultTime2Wait: '2',
      DefaultTime2Retain: '0',
      OFMarker: 'No',
      MaxRecvDataSegmentLength: '262144',
      'X-org.example': 'NotUnderstood',
      IFMarkInt: 'Irrelevant',
    });
    expect([answer!.flags, answer!.head.readUInt16BE(14)]).toEqual([0x87, 1]);
  });

  it.each([
    ['MaxBurstLength', '17'],
    ['InitialR2T', 'Maybe'],
    ['HeaderDigest', 'MD5'],
    ['MaxRecvDataSegmentLength', '-1'],
    ['ErrorRecoveryLevel', '9'],
  ])('%s = %s is refused', (key, value) => {
    const rig = new IscsiRig();
    expect(statusOf(new RigHost(rig), { ...NAMES, [key]: value })).toBe(0x200);
    expect(rig.log.join()).toContain(`it has offered the invalid value ${value} of ${key}`);
  });
});

describe('what is refused', () => {
  it.each([
    ['no name', { TargetName: TARGET }, 0x207],
    ['no target', { InitiatorName: HOST }, 0x207],
    // Regression: a record with such a name could not be read any more.
    ['a name that is too long', { ...NAMES, InitiatorName: `iqn.2026-01.org.example:${'x'.repeat(200)}` }, 0x200],
    ['a name that moves the cursor of a terminal', { ...NAMES, InitiatorName: 'iqn.2026-01.org.example:\u001b[2J' }, 0x200],
    ['another target', { ...NAMES, TargetName: 'iqn.2026-01.org.example:other' }, 0x203],
    ['a session type that is none', { ...NAMES, SessionType: 'Cluster' }, 0x209],
  ])('%s', (_, keys, status) => {
    const rig = new IscsiRig();
    const host = new RigHost(rig);
    expect(statusOf(host, keys)).toBe(status);
    expect(host.transport.ended).toBe(true);
    host.vanish();
    expect([rig.finished, rig.proven, rig.inUse]).toEqual([1, 0, 0]);
  });

  it('a host that the gate does not allow, with or without a session', () => {
    const rig = new IscsiRig({ config: { hosts: ['iqn.2026-01.org.example:friend'] } });
    expect(statusOf(new RigHost(rig), NAMES)).toBe(0x202);
    expect(statusOf(new RigHost(rig), { InitiatorName: HOST, SessionType: 'Discovery' })).toBe(0x202);
    expect(rig.log.join()).toContain(`host ${HOST} was refused: the gate does not allow it`);
  });

  it('a command before the login, more text than is allowed, and a stage that goes back', () => {
    const rig = new IscsiRig();
    const early = new RigHost(rig);
    early.receive(early.command(read10(0, 1), { bytes: 512 }));
    expect(early.transport.destroyed).toBe(true);
    const long = new RigHost(rig);
    for (let part = 0; part < 3; part++) {
      const bytes = loginPdu({ stage: 1, keys: { [`X-${part}`]: 'x'.repeat(7000) } });
      bytes[1] = 0x44;
      long.receive(bytes);
    }
    expect(long.answers().at(-1)?.head.readUInt16BE(36)).toBe(0x200);
    const back = new RigHost(rig);
    expect(statusOf(back, { ...NAMES }, 1, null)).toBe(0);
    expect(statusOf(back, { AuthMethod: 'None' }, 0, 1)).toBe(0x200);
  });

  it('more sessions than a gate has', () => {
    const rig = new IscsiRig();
    const hostOf = (at: number): string => `iqn.2026-01.org.example:host-${Math.floor(at / GATE_HOST_LOGINS_MAX)}`;
    for (let at = 0; at < GATE_SESSIONS_MAX; at++)
      rig.login({}, { host: at === 0 ? HOST : hostOf(at), isid: at.toString(16).padStart(12, '0') });
    expect(statusOf(new RigHost(rig), NAMES)).toBe(0x302);
    // A host that logs in again takes the place of its earlier session.
    rig.protocol.tick();
    const again = new RigHost(rig);
    again.receive(loginPdu({ stage: 1, next: 3, isid: '0'.repeat(12), keys: NAMES }));
    expect(again.answers()).toEqual([]);
    expect(again.transport.ended).toBe(false);
  });
});

describe('a login that does not end', () => {
  /** Sends login requests and reads no answers until the gate ends the connection; returns how many requests that took. */
  function floods(rig: IscsiRig, keys: (at: number) => Record<string, string>, flags?: number): number {
    const host = new RigHost(rig);
    for (let at = 1; at <= 2 * GATE_LOGIN_REQUESTS_MAX; at++) {
      const bytes = loginPdu({ stage: 1, keys: keys(at) });
      if (flags !== undefined) bytes[1] = flags;
      host.receive(bytes);
      rig.turn();
      if (host.transport.ended || host.transport.destroyed) {
        expect(rig.log.filter((line) => line.startsWith('failed'))).toEqual([]);
        host.vanish();
        expect([rig.inUse, rig.protocol.logins]).toEqual([0, 0]);
        return at;
      }
    }
    return Number.POSITIVE_INFINITY;
  }

  it.each([
    ['empty parts of a text', () => ({}), 0x44, GATE_LOGIN_REQUESTS_MAX + 1],
    ['requests without a text', (at: number) => (at === 1 ? NAMES : {}), undefined, GATE_LOGIN_REQUESTS_MAX + 1],
    ['new keys', (at: number) => ({ ...(at === 1 ? NAMES : {}), [`X-${at}`]: '' }), undefined, GATE_LOGIN_REQUESTS_MAX + 1],
    ['long keys', (at: number) => ({ ...(at === 1 ? NAMES : {}), [`X-${at}`]: 'x'.repeat(4000) }), undefined, 5],
  ])('of %s is refused', (_, keys, flags, requests) => {
    expect(floods(new IscsiRig(), keys, flags)).toBe(requests);
  });
});

describe('CHAP', () => {
  function challenged(host: RigHost, algorithms: string): Record<string, string> {
    const [offer] = host.send(loginPdu({ stage: 0, keys: { ...NAMES, AuthMethod: 'CHAP,None' } }));
    expect(keysOf(offer!.data)).toMatchObject({ AuthMethod: 'CHAP' });
    return keysOf(host.send(loginPdu({ stage: 0, keys: { CHAP_A: algorithms } }))[0]!.data);
  }

  it.each([
    ['7', '7,5'],
    ['5', '5,7'],
    ['5', '6,5'],
  ])('proves the host with algorithm %s of %s', (chosen, offered) => {
    const rig = secured();
    const host = new RigHost(rig);
    const { CHAP_A, CHAP_I, CHAP_C } = challenged(host, offered);
    expect(CHAP_A).toBe(chosen);
    const CHAP_R = chapResponse(chosen, CHAP_I!, SECRET, CHAP_C!);
    const [proven] = host.send(loginPdu({ stage: 0, next: 1, keys: { CHAP_N: HOST, CHAP_R } }));
    expect([proven!.head.readUInt16BE(36), proven!.flags]).toEqual([0, 0x81]);
    expect(statusOf(host, { HeaderDigest: 'None' })).toBe(0);
    expect(rig.proven).toBe(1);
  });

  it('proves the gate to the host, with its own secret', () => {
    const host = new RigHost(secured());
    const { CHAP_I, CHAP_C } = challenged(host, '7');
    const CHAP_R = chapResponse('7', CHAP_I!, SECRET, CHAP_C!);
    const asked = { CHAP_I: '9', CHAP_C: `0x${'5a'.repeat(32)}` };
    const [proven] = host.send(loginPdu({ stage: 0, next: 1, keys: { CHAP_N: HOST, CHAP_R, ...asked } }));
    expect(keysOf(proven!.data)).toEqual({ CHAP_N: TARGET, CHAP_R: chapResponse('7', '9', OWN, asked.CHAP_C) });
  });

  it('refuses a wrong secret, a challenge that is its own, and a host that wants a proof that the gate does not have', () => {
    for (const [rig, secret, mutual, why] of [
      [secured(), 'another-secret!!', null, 'its secret is not the one in /s'],
      [secured(), SECRET, 'same', 'it has sent a wrong message of CHAP'],
      [secured(false), SECRET, '0x0102030405060708', 'it wants the gate to prove itself'],
    ] as const) {
      const host = new RigHost(rig);
      const { CHAP_I, CHAP_C } = challenged(host, '7');
      const keys = { CHAP_N: HOST, CHAP_R: chapResponse('7', CHAP_I!, secret, CHAP_C!) };
      const asked = mutual === null ? {} : { CHAP_I: '3', CHAP_C: mutual === 'same' ? CHAP_C! : mutual };
      expect(statusOf(host, { ...keys, ...asked }, 0, 1)).toBe(0x201);
      expect(rig.log.join()).toContain(why);
      expect(rig.proven).toBe(0);
    }
  });

  it.each([
    ['goes to the operational stage at once', NAMES, 1, 3],
    ['offers no method', { ...NAMES, AuthMethod: 'None' }, 0, 1],
    ['says nothing of methods', NAMES, 0, 3],
    ['only looks for targets', { InitiatorName: HOST, SessionType: 'Discovery' }, 1, 3],
  ] as const)('refuses a host that %s', (_, keys, stage, next) => {
    expect(statusOf(new RigHost(secured()), keys, stage, next)).toBe(0x201);
  });

  it('lets nobody past the security stage who has only chosen a method', () => {
    const host = new RigHost(secured());
    const [offer] = host.send(loginPdu({ stage: 0, next: 3, keys: { ...NAMES, AuthMethod: 'CHAP' } }));
    expect(offer!.flags).toBe(0);
    expect(statusOf(host, {}, 1, 3)).toBe(0x201);
  });
});

describe('a login with the same ISID', () => {
  it('is answered when the volume has ended what the earlier session has sent', () => {
    const rig = new IscsiRig();
    const first = rig.ready();
    first.receive(first.command([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], { bytes: 512, data: Buffer.alloc(512, 'b') }));
    const second = new RigHost(rig);
    second.receive(loginPdu({ stage: 1, next: 3, keys: NAMES }));
    expect(first.transport.destroyed).toBe(true);
    first.transport.failWrites();
    first.connection.closed();
    rig.turn();
    expect(second.take()).toEqual([]);
    rig.complete();
    expect(rig.finished).toBe(1);
    expect(second.answers()[0]?.head.readUInt16BE(36)).toBe(0);
    expect(first.take()).toEqual([]);
  });

  it('is not answered if that takes too long', () => {
    const rig = new IscsiRig();
    const first = rig.ready();
    first.receive(first.command([0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0], { bytes: 512, data: Buffer.alloc(512, 'b') }));
    const second = new RigHost(rig);
    second.receive(loginPdu({ stage: 1, next: 3, keys: NAMES }));
    first.connection.closed();
    rig.nowMs += GATE_QUIESCE_MS + 1;
    rig.protocol.tick();
    expect(second.transport.destroyed).toBe(true);
    expect(second.take()).toEqual([]);
  });
});

describe('a session that looks for targets', () => {
  const KEYS = { InitiatorName: HOST, SessionType: 'Discovery' };

  it('gets the target of the gate with all its addresses, in as many parts as it takes', () => {
    const addresses = Array.from({ length: 8 }, (_, at) => ({ address: `2001:db8::${at}`, port: 3260 }));
    const rig = new IscsiRig({ config: { addresses, name: 'x' } });
    const host = new RigHost(rig);
    expect(statusOf(host, { ...KEYS, MaxRecvDataSegmentLength: '512' })).toBe(0);
    const ask = { opcode: 4, isImmediate: true, tag: 5, words: { 20: 0xffff_ffff, 24: 1 } };
    let [answer] = host.send(host.bytes({ ...ask, data: Buffer.from('SendTargets=All\0') }));
    const parts = [answer!.data];
    for (let more = 0; more < 8 && (answer!.flags & 0x40) !== 0; more++) {
      [answer] = host.send(host.bytes({ ...ask, words: { 20: answer!.head.readUInt32BE(20), 24: 1 } }));
      parts.push(answer!.data);
    }
    const lines = Buffer.concat(parts).toString().split('\0');
    expect(lines.slice(0, 2)).toEqual([`TargetName=${TARGET}`, 'TargetAddress=[2001:db8::0]:3260,1']);
    expect(lines).toHaveLength(1 + 8 + 1);
    expect(parts.every((part) => part.length <= 512)).toBe(true);
  });

  it('has no commands', () => {
    const host = new RigHost(new IscsiRig());
    expect(statusOf(host, KEYS)).toBe(0);
    const [answer] = host.send(host.command(read10(0, 1), { bytes: 512 }));
    expect([answer?.opcode, answer?.head[2]]).toEqual([0x3f, 5]);
  });
});
