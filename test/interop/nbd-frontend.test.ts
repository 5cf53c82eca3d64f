// The NBD frontend alone, over a volume in memory, against independent NBD clients: the exports and their announced properties, and the
// requests that reach the volume. nbd-programs.test.ts verifies content, holes and copies end to end.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import { NbdFrontend } from '@rsio/rsiod/frontends/nbd/nbd-frontend';
import { MemoryVolume } from '@rsio/rsiod/frontends/nbd/testing/memory-volume';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { needTool, run, runWell } from '../support/programs/programs.ts';

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
