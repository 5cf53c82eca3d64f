// A gate for AoE of a real rsiod, used by a raw host over Ethernet with frames of 9,000 bytes: discovery, reads, what hosts store, unsafe
// writes, rsiod that stands still, floods, a card that disappears; and vblade as a neighbour that answers the same commands.
// Rules: D1, N15.

import { closeSync, openSync, writeSync } from 'node:fs';
import { beforeEach, expect, it } from 'vitest';
import { GATE_GAP_MS } from '@rsio/gates/limits';
import {
  ata,
  ataOf,
  config,
  configOf,
  EVERYONE,
  type Header,
  mask,
  maskOf,
  OTHER,
  readSectors,
  type Reply,
  reserve,
  reservedOf,
  writeSectors,
} from '@rsio/gates/aoe/testing/raw-initiator';
import { AOE_CARD, AoeMachine, SHELF } from '../support/aoe/aoe-machine.ts';
import { FrameCard } from '../support/aoe/frame-card.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { type Machine, useNetlab } from '../support/netlab/netlab.ts';
import { needTool, start } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const WAIT_MS = 60_000;
const FRAME_SECTORS = 17;
const FRAME_BYTES = FRAME_SECTORS * 512;
const ALL: Header = { to: EVERYONE, shelf: 0xffff, slot: 0xff };

const netlab = useNetlab('file');
let gate: AoeMachine;
let host: Machine;
let card: FrameCard;
let mac: string;
let begun: Promise<void> | undefined;
let lastTag = 100;

beforeEach(async (context) => {
  await netlab.need(context);
  needTool(context, 'perl', 'perl-base');
  begun ??= begin();
  await begun;
});

async function begin(): Promise<void> {
  host = await netlab.machine('host');
  gate = await AoeMachine.start(netlab);
  await gate.plug(host.namespace);
  await gate.addGate(AOE_CARD);
  card = await FrameCard.open(host.command, AOE_CARD);
  mac = (await gate.gate()).mac ?? '';
}

/** The header of a request with a tag of its own. */
function own(more: Header = {}): Header {
  return { to: mac, from: card.mac, shelf: SHELF, tag: ++lastTag, ...more };
}

function nbd(): Promise<NbdIo> {
  return NbdIo.open(gate.host.rsiodPaths.nbdSocket, 'osl/oracle');
}

/** Hosts read the volume from now on, and programs of the gate have it again. */
async function forPrograms(): Promise<void> {
  await gate.changeGate('--offers', 'oracle');
  await gate.host.rsconfigWell('-d', '--force', 'oracle');
  await gate.host.rsconfigWell('-a', 'oracle');
}

function pattern(seed: number, bytes = FRAME_BYTES): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 13 + (index >> 8) + seed) & 255));
}

async function pauseRsiod(ms: number, meanwhile: () => void): Promise<void> {
  const { pid } = await gate.host.call('daemon', {});
  process.kill(pid, 'SIGSTOP');
  meanwhile();
  await new Promise((resolve) => setTimeout(resolve, ms));
  process.kill(pid, 'SIGCONT');
}

it('a host finds the volume, reads what NBD has written in frames of 8,704 bytes, and cannot write', async () => {
  const found = await card.ask(config(0, '', own(ALL)));
  expect([found.address, found.from, configOf(found)]).toEqual(['7.0', mac, { buffers: 64, sectors: FRAME_SECTORS, text: '' }]);
  expect(ataOf(await card.ask(ata({ command: 0xec, sectors: 1 }, own()))).data.readBigUInt64LE(200)).toBe(32768n);
  const io = await nbd();
  const content = Buffer.concat([pattern(1, 4096), pattern(2, 4096), pattern(3, 4096)]);
  await io.write(8192, content);
  expect(ataOf(await card.ask(readSectors(16, FRAME_SECTORS, own()))).data.equals(content.subarray(0, FRAME_BYTES))).toBe(true);
  expect(ataOf(await card.ask(writeSectors(16, pattern(9), own())))).toMatchObject({ status: 0x41, error: 0x04 });
  expect((await io.read(8192, content.length)).equals(content)).toBe(true);
  io.close();
  expect(await gate.host.rsconfigWell('gate', 'show', 'boot')).toMatch(/^e7\.0 {5}osl:oracle@0 +16m +read-only$/m);
  expect((await gate.host.rsconfig('-d', 'oracle')).stderr).toContain('in use by 1 host of gate boot');
});

it('what hosts store, and the slot, survive a kill of rsiod', async () => {
  expect(configOf(await card.ask(config(3, 'rack 7', own()))).text).toBe('rack 7');
  expect(reservedOf(await card.ask(reserve(1, [card.mac], own())))).toEqual([card.mac]);
  expect(
    maskOf(
      await card.ask(
        mask(
          1,
          [
            [1, card.mac],
            [1, OTHER],
          ],
          own(),
        ),
      ),
    ).macs,
  ).toEqual([card.mac, OTHER]);
  await gate.host.kill('rsiod');
  await gate.host.start('rsiod');
  expect(configOf(await card.ask(config(0, '', own()))).text).toBe('rack 7');
  expect(await card.ask(readSectors(0, 1, own({ from: OTHER })))).toMatchObject({ flags: 'RE', error: 6 });
  expect(maskOf(await card.ask(mask(1, [[2, OTHER]], own()))).macs).toEqual([card.mac]);
  card.send(readSectors(0, 1, own({ from: OTHER, tag: 1 })));
  expect((await card.ask(readSectors(0, 1, own()))).error).toBe(0);
  expect(card.all().filter(({ tag }) => tag === 1)).toEqual([]);
  expect(await gate.host.rsconfigWell('gate', 'show', 'boot')).toContain('e7.0 has the config string "rack 7"');
  await card.ask(mask(1, [[2, card.mac]], own()));
  await card.ask(reserve(1, [], own()));
});

it('hosts with unsafe writes have the volume alone, and their writes are there for programs afterwards', async () => {
  await gate.changeGate('--offers', 'oracle', '--unsafe-writes');
  expect(ataOf(await card.ask(writeSectors(5, pattern(5), own()))).status).toBe(0x40);
  await expect(nbd()).rejects.toThrow();
  expect((await gate.host.rsconfig('doctor')).stdout).toMatch(/warning: gate boot: Hosts of AoE can write osl:oracle@0/);
  await forPrograms();
  const io = await nbd();
  expect((await io.read(0, 16384)).subarray(2560, 2560 + FRAME_BYTES).equals(pattern(5))).toBe(true);
  io.close();
});

it('what lay unread while rsiod stood still is not executed (D1), and no old write is', async () => {
  await gate.changeGate('--offers', 'oracle', '--unsafe-writes');
  expect(ataOf(await card.ask(writeSectors(64, pattern(1), own()))).status).toBe(0x40);
  expect(configOf(await card.ask(config(4, 'now', own()))).text).toBe('now');
  await pauseRsiod(700, () => card.send(writeSectors(64, pattern(2), own())));
  await waitFor(async () => (await gate.gate()).figures.late > 0, WAIT_MS, 'The gate has dropped the old write');
  const { cut } = (await gate.gate()).figures;
  await pauseRsiod(GATE_GAP_MS + 500, () => {
    // More than rsiod takes from its helper at once.
    for (let count = 0; count < 30; count++) card.send(writeSectors(64, pattern(3), own()));
    card.send(config(4, 'late', own()));
  });
  await waitFor(async () => (await gate.gate()).figures.cut > cut, WAIT_MS, 'The gate has noticed the gap');
  await gate.answers();
  expect(ataOf(await card.ask(readSectors(64, FRAME_SECTORS, own()))).data.equals(pattern(1))).toBe(true);
  expect(configOf(await card.ask(config(0, '', own()))).text).toBe('now');
});

it('a flood of frames disturbs neither programs on the gate nor its control socket', async () => {
  await forPrograms();
  const flood = await FrameCard.open(host.command, AOE_CARD, true);
  const before = (await gate.gate()).figures.commands;
  flood.send(readSectors(0, FRAME_SECTORS, own()));
  await waitFor(async () => (await gate.gate()).figures.commands > before + 2_000, WAIT_MS, 'The flood arrives');
  const io = await nbd();
  for (let round = 0; round < 50; round++) {
    await io.write(1024 * 1024, pattern(round, 4096));
    expect((await io.read(1024 * 1024, 4096)).equals(pattern(round, 4096))).toBe(true);
  }
  io.close();
  const during = (await gate.gate()).figures;
  // A frame that nobody needs costs the gate next to nothing.
  flood.send(readSectors(0, 1, own({ shelf: 8 })));
  await gate.host.rsconfigWell('gate', 'list');
  flood.close();
  expect(during.waiting).toBeLessThanOrEqual(64);
  expect((await card.ask(readSectors(0, 1, own()))).error).toBe(0);
});

it('a card that disappears and comes back is used again', async () => {
  await gate.machine.ip('link', 'del', AOE_CARD);
  await waitFor(async () => (await gate.gate()).trouble?.includes(AOE_CARD), WAIT_MS, 'The gate says that the card is gone');
  expect((await gate.host.rsconfig('gate', 'list')).code).toBe(1);
  card.close();
  await gate.plug(host.namespace);
  card = await FrameCard.open(host.command, AOE_CARD);
  await gate.answers();
  mac = (await gate.gate()).mac ?? '';
  expect((await card.ask(readSectors(0, 1, own()))).error).toBe(0);
});

it('vblade on the same card answers the same commands in the same way', async (context) => {
  needTool(context, 'vblade', 'vblade');
  const file = gate.host.file('vblade.img');
  const [io, image] = [await nbd(), openSync(file, 'w')];
  for (let at = 0; at < 16; at++) {
    await io.write(at * 1024 * 1024, pattern(at, 4096));
    writeSync(image, pattern(at, 4096), 0, 4096, at * 1024 * 1024);
  }
  writeSync(image, Buffer.alloc(512), 0, 512, 16 * 1024 * 1024 - 512);
  closeSync(image);
  io.close();
  start('setpriv', ['--pdeathsig', 'KILL', ...gate.machine.command, 'vblade', '-r', '8', '0', AOE_CARD, file], { timeoutMs: 120_000 });
  const both = async (make: (header: Header) => Buffer): Promise<[Reply, Reply]> => [
    await card.ask(make(own())),
    await card.ask(make(own({ shelf: 8 }))),
  ];
  for (const lba of [0, 2048, 30720]) {
    const [ours, theirs] = await both((header) => readSectors(lba, 8, header));
    expect(ataOf(ours).data.equals(ataOf(theirs).data)).toBe(true);
  }
  const sizes = (await both((header) => ata({ command: 0xec, sectors: 1 }, header))).map((one) => ataOf(one).data.readBigUInt64LE(200));
  expect(sizes[0]).toBe(sizes[1]);
  for (const make of [
    (header: Header) => mask(0, [], header),
    (header: Header) => reserve(0, [], header),
    (header: Header) => reserve(1, [card.mac], header),
    (header: Header) => reserve(1, [OTHER], { ...header, from: OTHER }),
    (header: Header) => readSectors(0, 1, { ...header, from: OTHER }),
    (header: Header) => reserve(1, [], header),
  ]) {
    const [ours, theirs] = (await both(make)).map(({ flags, error, command }) => ({ flags, error, command }));
    expect(ours).toEqual(theirs);
  }
});
