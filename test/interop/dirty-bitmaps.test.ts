// nbdinfo and qemu-img read the changes since an older snapshot from the export of an attached snapshot. The changes must contain every
// block that differs, and agree with `rsadm volume diff`. Needs XFS and root; otherwise skipped with a reason.

import { expect, it } from 'vitest';
import { needTool, runWell } from '../support/programs/programs.ts';
import { BLOCK, contentOf, MIB, qemuContent, TEST_MS, useBackupScene } from '../support/scenes/backup-scene.ts';

const KIB = 1024;
const SIZE_MIB = 4;
/** The last block is not used, so that no write ends past the volume. */
const BLOCKS = (SIZE_MIB * MIB) / BLOCK - 1;
const DIRTY = 'qemu:dirty-bitmap:';

const scene = useBackupScene();

interface Mapped {
  readonly offset: number;
  readonly length: number;
  readonly type: number;
}

it('nbdinfo and qemu-img see what has changed since each older snapshot', { timeout: TEST_MS }, async (context) => {
  needTool(context, 'nbdinfo', 'libnbd-bin');
  const { server, client } = scene;
  const nbd = await scene.volume('db', SIZE_MIB);
  const names = ['monday', 'tuesday', 'wednesday'];
  const contents = new Map<string, Buffer>();
  for (const [generation, name] of names.entries()) {
    for (let write = 0; write < 30; write++)
      await nbd.write(((write * 7_919 * (generation + 1)) % BLOCKS) * BLOCK + 512, Buffer.alloc(3 * KIB, `${name} ${write} `));
    await server.rsadmWell('volume', 'snapshot', `db@${name}`);
    contents.set(name, await contentOf(nbd, SIZE_MIB));
  }
  await client.rsconfigWell('-a', 'db@wednesday');
  const uri = client.nbdUri('osl/db@wednesday');
  const tool = (program: string, ...args: readonly string[]): Promise<string> =>
    runWell(program, args, { cwd: client.root, timeoutMs: 60_000 });
  const info = JSON.parse(await tool('nbdinfo', '--json', uri)) as { exports: [{ contexts: string[]; is_read_only: boolean }] };
  expect(info.exports[0]).toMatchObject({ contexts: ['base:allocation', `${DIRTY}tuesday`, `${DIRTY}monday`], is_read_only: true });
  for (const since of ['monday', 'tuesday']) {
    const map = JSON.parse(await tool('nbdinfo', `--map=${DIRTY}${since}`, '--json', uri)) as Mapped[];
    const dirty = map.filter(({ type }) => type === 1).map(({ offset, length }) => ({ offsetBytes: offset, lengthBytes: length }));
    const said = JSON.parse(await server.rsadmWell('volume', 'diff', `db@${since}`, 'db@wednesday', '--json')) as { ranges: unknown };
    expect(dirty).toEqual(said.ranges);
    const isDirty = (at: number): boolean => map.some(({ offset, length, type }) => type === 1 && at >= offset && at < offset + length);
    const [before, after] = [contents.get(since)!, contents.get('wednesday')!];
    for (let at = 0; at < after.length; at += 512)
      if (before.compare(after, at, at + 512, at, at + 512) !== 0) expect(isDirty(at), `${since}: byte ${at}`).toBe(true);
    // With these options, qemu-img shows a dirty range as a range without data.
    const options = `driver=nbd,server.type=unix,server.path=${client.rsiodPaths.nbdSocket},export=osl/db@wednesday,x-dirty-bitmap=${DIRTY}${since}`;
    const shown = JSON.parse(await tool('qemu-img', 'map', '--output=json', '--image-opts', options)) as {
      readonly start: number;
      readonly length: number;
      readonly data: boolean;
    }[];
    expect(shown.filter(({ data }) => !data).map(({ start, length }) => ({ offsetBytes: start, lengthBytes: length }))).toEqual(dirty);
  }
  await expect(tool('nbdinfo', `--map=${DIRTY}nosuch`, uri)).rejects.toThrow(/nosuch/);
  // If the older snapshot was removed, the request for changes must fail. The request must not return an empty map.
  await server.rsadmWell('volume', 'remove', 'db@monday', '--yes');
  await expect(tool('nbdinfo', `--map=${DIRTY}monday`, uri)).rejects.toThrow(/rror/);
  expect((await qemuContent(client, '-f', 'raw', uri)).equals(contents.get('wednesday')!)).toBe(true);
});
