// A host opens as many sessions as it may, uses all that each allows, and reads no answers. The oracle is another host of the same gate:
// all its commands are answered in the meantime, and none with BUSY. The greedy host stays within its bounds. Rules: G47.

import { expect, it } from 'vitest';
import { DataBuffers } from '@rsio/rsiod/frontends/streams/data-buffers';
import {
  GATE_BYTES_MAX,
  GATE_FIRST_BURST_BYTES,
  GATE_HOST_BYTES_MAX,
  GATE_HOST_LOGINS_MAX,
  GATE_PING_BYTES,
  GATE_SESSION_COMMANDS,
  GATE_TRANSFER_MS,
} from '../limits.ts';
import { loginPdu, read10, type TargetPdu, write10 } from './testing/iscsi-host.ts';
import { IscsiRig, RigHost, TARGET } from './testing/iscsi-rig.ts';

const KIB = 1024;
const NO_TAG = 0xffff_ffff;
const GREEDY = 'iqn.2026-01.org.example:greedy';
const KEYS = { InitialR2T: 'No', FirstBurstLength: String(GATE_FIRST_BURST_BYTES), MaxRecvDataSegmentLength: '262144' };
const DEPTH = 32;

function isid(at: number): string {
  return `4000013700${at.toString(16).padStart(2, '0')}`;
}

function ping(host: RigHost, tag: number, data?: Buffer): Buffer {
  return host.bytes({ opcode: 0, isImmediate: true, tag, words: { 20: NO_TAG }, ...(data === undefined ? {} : { data }) });
}

/** Sends all that the windows allow: reads, writes with unsolicited data, or pings with data. */
function takesAll(hosts: readonly RigHost[], kind: 'reads' | 'writes' | 'pings'): void {
  const data = Buffer.alloc(GATE_FIRST_BURST_BYTES, 'g');
  for (const [index, host] of hosts.entries()) {
    // The first session sends whole bursts. The others send only the beginnings of bursts, which take just as much memory.
    const burst = index === 0 ? data : data.subarray(0, 32 * KIB);
    for (let at = 0; at < GATE_SESSION_COMMANDS && !host.transport.destroyed; at++) {
      if (kind === 'reads') host.receive(host.command(read10(0, 2048), { bytes: 1024 * KIB }));
      else if (kind === 'writes')
        host.receive(host.command(write10(0, 512), { bytes: data.length, data: burst, flags: burst === data ? 0xa0 : 0x20 }));
      else for (let more = 0; more < 4; more++) host.receive(ping(host, 4 * at + more, data.subarray(0, GATE_PING_BYTES)));
    }
  }
}

/** The good host has DEPTH commands under way, of both kinds. Returns their statuses. */
function statusesOf(good: RigHost): number[] {
  const data = Buffer.alloc(64 * KIB, 'w');
  const commands = Array.from({ length: DEPTH / 2 }, () => [
    good.command(write10(1024, 128), { bytes: data.length, data }),
    good.command(read10(1024, 128), { bytes: data.length }),
  ]);
  const answers = good.send(Buffer.concat(commands.flat()));
  const last = ({ opcode, flags }: TargetPdu): boolean => opcode === 0x21 || (opcode === 0x25 && (flags & 1) !== 0);
  return answers.filter(last).map(({ head }) => head[3]!);
}

it.each(['reads', 'writes', 'pings'] as const)('a host that fills everything with %s and reads nothing disturbs no other one', (kind) => {
  const rig = new IscsiRig({ memoryBytes: GATE_BYTES_MAX });
  const good = rig.ready(KEYS);
  const greedy = Array.from({ length: GATE_HOST_LOGINS_MAX }, (_, at) => rig.ready(KEYS, { host: GREEDY, isid: isid(at) }));
  const more = new RigHost(rig);
  const names = { InitiatorName: GREEDY, SessionType: 'Normal', TargetName: TARGET };
  const [refused] = more.send(loginPdu({ isid: isid(99), stage: 1, next: 3, keys: names }));
  expect(refused!.head.readUInt16BE(36)).toBe(0x302);
  more.vanish();

  takesAll(greedy, kind);
  rig.settle();
  const small = DataBuffers.memoryBytes(8 * KIB);
  expect(rig.budget.usedBytes).toBeLessThanOrEqual(GATE_HOST_BYTES_MAX + greedy.length * small);
  const keptBytes = greedy.reduce((sum, { transport }) => sum + transport.waitingBytes, 0);
  expect(keptBytes).toBeLessThanOrEqual((kind === 'reads' ? GATE_HOST_BYTES_MAX : 0) + greedy.length * 1280 * KIB);
  for (let round = 0; round < 3; round++) expect(statusesOf(good)).toEqual(Array.from({ length: DEPTH }, () => 0));
  // A new host can log in and is served.
  const later = rig.ready(KEYS, { host: 'iqn.2026-01.org.example:later' });
  expect(statusesOf(later)).toEqual(Array.from({ length: DEPTH }, () => 0));

  // The greedy host answers pings, but takes no answers. Its sessions are cut off; sessions that waited for the memory of others follow
  // later.
  const STEP_MS = 4000;
  for (let atMs = 0; greedy.some(({ transport }) => !transport.destroyed); atMs += STEP_MS) {
    expect(atMs).toBeLessThanOrEqual((GATE_HOST_LOGINS_MAX + 1) * (GATE_TRANSFER_MS + STEP_MS));
    rig.nowMs += STEP_MS;
    for (const host of [...greedy, good, later]) {
      host.receive(ping(host, NO_TAG));
      host.connection.tick(rig.nowMs);
      if (host.transport.destroyed) host.vanish();
    }
    for (const host of [good, later]) host.answers();
  }
  expect(statusesOf(good)).toEqual(Array.from({ length: DEPTH }, () => 0));
  expect([good.transport.destroyed, later.transport.destroyed]).toEqual([false, false]);
  for (const host of [good, later]) host.vanish();
  expect([rig.inUse, rig.hosts.size, rig.protocol.logins]).toEqual([0, 0, 0]);
});
