// The NBD frontend alone, over a volume in memory, against independent NBD clients. The tests judge by the reports of these programs, and
// by the content and the recorded requests of the volume. nbd-programs.test.ts has volumes of real servers.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rsio/common/lib/clock';
import { NbdFrontend } from '@rsio/rsiod/frontends/nbd/nbd-frontend';
import { MemoryVolume } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { needFio, needTool, run, runWell } from '../support/programs/programs.ts';

const MIB = 1024 * 1024;

let folder: string;
let frontend: NbdFrontend;
let oracle: MemoryVolume;
let archive: MemoryVolume;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nbd-interop-'));
  oracle = new MemoryVolume({ sizeBytes: 16 * MIB });
  archive = new MemoryVolume({ name: 'archive', universe: 1, readonly: true, sizeBytes: 8 * MIB, blockSizeBytes: 4096 });
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  frontend = new NbdFrontend({
    socketPath: join(folder, 'nbd'),
    group: null,
    attached: () => [oracle, archive],
    mayExport: () => true,
    log,
    clock: systemClock,
  });
  await frontend.start();
  for (const volume of [oracle, archive]) await frontend.show(volume);
});

afterEach(async () => {
  await frontend.close();
  const left = frontend.buffersInUse;
  rmSync(folder, { recursive: true, force: true });
  expect(left).toBe(0);
});

function uri(name: string): string {
  return `nbd+unix:///${name}?socket=${join(folder, 'nbd')}`;
}

function tool(program: string, ...args: readonly string[]): Promise<string> {
  return runWell(program, args, { cwd: folder });
}

it('nbdinfo lists the exports', async (context) => {
  needTool(context, 'nbdinfo', 'libnbd-bin');
  const list = await tool('nbdinfo', '--list', uri(''));
  expect(list.match(/export="[^"]*"/g)).toEqual(['export="osl/oracle"', 'export="osl/archive@1"']);
  expect(list).toContain('description: Volume oracle of namespace osl, universe 0');
});

it('nbdinfo shows size, block sizes and features by the full name', async (context) => {
  needTool(context, 'nbdinfo', 'libnbd-bin');
  const info = JSON.parse(await tool('nbdinfo', '--json', uri('osl/archive@1'))) as { exports: Record<string, unknown>[] };
  expect(info.exports[0]).toMatchObject({
    'export-size': 8 * MIB,
    contexts: ['base:allocation'],
    is_read_only: true,
    can_multi_conn: true,
    can_flush: true,
    can_trim: false,
    block_size_minimum: 4096,
    block_size_preferred: 4096,
    block_size_maximum: 32 * MIB,
  });
});

it('nbdinfo gets a refusal of an unknown export that lists the attached ones', async (context) => {
  needTool(context, 'nbdinfo', 'libnbd-bin');
  const { code, stderr } = await run('nbdinfo', [uri('nothing')], { env: { LIBNBD_DEBUG: '1' } });
  expect(code).toBe(1);
  expect(stderr).toContain('attached are osl/oracle, osl/archive@1');
});

it('nbdinfo maps allocation', async (context) => {
  needTool(context, 'nbdinfo', 'libnbd-bin');
  oracle.submit({
    op: 'write',
    positionBytes: MIB,
    lengthBytes: MIB,
    buffer: Buffer.alloc(MIB, 1),
    bufferOffset: 0,
    fua: false,
    mustKeepAllocated: false,
    done: () => {},
  });
  const map = JSON.parse(await tool('nbdinfo', '--map', '--json', uri('oracle'))) as { offset: number; length: number; type: number }[];
  expect(map.map(({ offset, length, type }) => [offset, length, type])).toEqual([[0, MIB, 3], [MIB, MIB, 0], [2 * MIB, 14 * MIB, 3]]); // biome-ignore format: table
});

it('nbdcopy copies in both directions over several connections', async (context) => {
  needTool(context, 'nbdcopy', 'libnbd-bin');
  const image = Buffer.alloc(16 * MIB);
  for (let at = 0; at < image.length; at += 4096) if (at % 12288 !== 0) image.writeUInt32BE(at * 7 + 1, at);
  writeFileSync(join(folder, 'in.img'), image);
  await tool('nbdcopy', '--flush', 'in.img', uri('oracle'));
  expect(oracle.content.equals(image)).toBe(true);
  await tool('nbdcopy', uri('oracle'), 'out.img');
  expect(readFileSync(join(folder, 'out.img')).equals(image)).toBe(true);
});

it('qemu-img converts to the volume and finds it equal', async (context) => {
  needTool(context, 'qemu-img', 'qemu-utils');
  writeFileSync(join(folder, 'in.img'), Buffer.concat([Buffer.alloc(5 * MIB, 'qemu'), Buffer.alloc(11 * MIB)]));
  await tool('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', 'in.img', uri('oracle'));
  expect(await tool('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', 'in.img', uri('oracle'))).toContain('Images are identical');
  expect(JSON.parse(await tool('qemu-img', 'info', '--output=json', uri('osl/oracle')))).toMatchObject({ 'virtual-size': 16 * MIB });
});

it('qemu-io writes, zeroes, discards, writes with FUA and flushes', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  const script = [
    'write -P 7 0 1M',
    'read -P 7 0 1M',
    'write -z -u 64k 64k',
    'read -P 0 64k 64k',
    'write -z 256k 64k',
    'discard 512k 128k',
    'write -f -P 9 0 4k',
  ];
  const output = await tool(
    'qemu-io',
    '-t',
    'writeback',
    '-f',
    'raw',
    uri('oracle'),
    ...[...script, 'read -P 9 0 4k', 'flush'].flatMap((line) => ['-c', line]),
  );
  expect(output).not.toMatch(/fail|error/i);
  expect(oracle.seen).toContain(`write 0+${MIB}`);
  expect(oracle.seen).toContain('write 0+4096 fua');
  expect(oracle.seen).toContain(`zero ${256 * 1024}+${64 * 1024} keep`);
  expect(oracle.seen).toContain(`discard ${512 * 1024}+${128 * 1024}`);
  expect(oracle.seen).toContain('flush 0+0');
});

it('qemu-io may not write to a read-only volume', async (context) => {
  needTool(context, 'qemu-io', 'qemu-utils');
  await expect(tool('qemu-io', '-f', 'raw', uri('osl/archive@1'), '-c', 'write 0 4k')).rejects.toThrow(/read-only|Permission denied/i);
  expect(archive.seen).toEqual([]);
});

it('fio verifies what it wrote', async (context) => {
  needFio(context);
  // fio accepts an engine's options only after the engine.
  const common = ['--name=job', '--ioengine=nbd', `--uri=${uri('oracle')}`, '--thread', '--size=16m', '--output-format=json'];
  const job = ['--rw=randwrite', '--bsrange=512-256k', '--iodepth=64', '--verify=crc32c', '--verify_fatal=1', '--fsync=64'];
  const output = await tool('fio', ...common, ...job);
  const { jobs } = JSON.parse(output.slice(output.indexOf('{'))) as { jobs: { error: number; read: { total_ios: number } }[] };
  expect(jobs[0]?.error).toBe(0);
  expect(jobs[0]?.read.total_ios).toBeGreaterThan(50);
});
