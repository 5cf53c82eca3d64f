// Links to the partitions of a volume: /dev/av0/dbp1 leads to the first partition of /dev/av0/db. The kernel makes and removes the
// partitions (losetup --partscan), also while the volume is attached. Invariants: a link leads to a partition of the volume's own loop
// device; a link is made only where nothing is, and gives way to a device of a volume of that name.

import { readdir, readlink, symlink, unlink } from 'node:fs/promises';
import path from 'node:path';
import { announce, baseName } from './block-attributes.ts';

const PARTITION_FORM = /^\/dev\/loop\d+p\d+$/;
const NUMBER_FORM = /^\d+$/;

/**
 * Makes the links of a volume's partitions and removes those of former ones. `node`: the path of the volume's link. `device`: its loop
 * device; null if it has none any more. `isTaken`: true for a path that belongs to a device of another volume.
 */
export async function setPartitionLinks(node: string, device: string | null, isTaken: (place: string) => boolean): Promise<void> {
  const wanted = new Map(device === null ? [] : (await partitionsOf(device)).map((number) => [`${node}p${number}`, `${device}p${number}`]));
  const [folder, prefix] = [path.dirname(node), `${path.basename(node)}p`];
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((one) => one.startsWith(prefix) && NUMBER_FORM.test(one.slice(prefix.length)))) {
    const place = path.join(folder, name);
    const target = await readlink(place).catch(() => '');
    if (PARTITION_FORM.test(target) && target !== wanted.get(place)) await removePartitionLink(place);
    else wanted.delete(place);
  }
  for (const [place, partition] of wanted) {
    if (isTaken(place)) continue;
    const isMade = await symlink(partition, place).then(
      () => true,
      () => false,
    );
    if (isMade) await announce(partition, '/sys/class/block');
  }
}

/** Removes `place` if it is a link to a partition of a loop device; leaves anything else unchanged. */
export async function removePartitionLink(place: string): Promise<void> {
  if (PARTITION_FORM.test(await readlink(place).catch(() => ''))) await unlink(place).catch(() => undefined);
}

async function partitionsOf(device: string): Promise<string[]> {
  const prefix = `${baseName(device)}p`;
  const names = await readdir(`/sys/block/${baseName(device)}`).catch(() => []);
  return names.flatMap((name) =>
    name.startsWith(prefix) && NUMBER_FORM.test(name.slice(prefix.length)) ? [name.slice(prefix.length)] : [],
  );
}
