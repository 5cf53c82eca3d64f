// The comparison and the retention of backups (link-check.ts and generations.ts of rsconfig) over real files, some of which a disk or a person
// has cut, changed or swapped. Invariants: a chain counts as whole only if each of its files has the content that it had when it was made, and
// retention removes no whole chain in favour of a damaged one.

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { decideCompared, type RunBackup } from '@rsio/rsconfig/backup/generations';
import { factsOf, LinkCheck } from '@rsio/rsconfig/backup/link-check';
import type { BackupRecord } from '@rsio/rsconfig/backup/backup-record';

const [CHAINS, LENGTH] = [4, 2];

/** Runs the world of this seed. Returns the fault as a sentence; null: no fault. */
export async function backupWorld(seed: number): Promise<string | null> {
  const random = new SeededRandom(seed);
  const folder = mkdtempSync(path.join(tmpdir(), 'rsio-backups-'));
  try {
    const [backups, records, damaged]: [RunBackup[], Map<string, BackupRecord>, Set<string>] = [[], new Map(), new Set()];
    for (let number = 1; number <= CHAINS * LENGTH; number++) {
      const base = number % LENGTH === 1 ? null : `b${number - 1}`;
      const mark = { volumeId: 'v', number, madeMs: number, request: `r${number}`, state: 'made' } as const;
      const [name, snapshot, snapshotId] = [`b${number}`, `s${number}`, `id-${number}`];
      backups.push({ ...mark, name, snapshot, snapshotId, base, isThere: true, hasPart: false, problem: null });
      writeFileSync(path.join(folder, name), Buffer.alloc(64, random.int(1, 255)));
      const facts = await factsOf(path.join(folder, name));
      records.set(name, { ...facts, snapshot, snapshotId, sizeBytes: 64, base, baseId: null, run: mark });
    }
    for (const { name } of backups) {
      if (!random.chance(0.3)) continue;
      damaged.add(name);
      if (random.chance(0.3)) truncateSync(path.join(folder, name), random.int(0, 63));
      else writeFileSync(path.join(folder, name), Buffer.alloc(64, 0));
    }
    const namesOf = (one: RunBackup): [string, ...string[]] => (one.base === null ? [one.name] : [one.name, one.base]);
    const isWhole = (one: RunBackup): boolean => namesOf(one).every((name) => !damaged.has(name));
    const check = new LinkCheck(false);
    const problemOf = async (one: RunBackup): Promise<string | null> => {
      const names = namesOf(one);
      return await check.problemOf({ folder, names, sizeBytes: 64, records: names.map((name) => records.get(name)!) });
    };
    const newest = { ...backups.at(-1)!, problem: await problemOf(backups.at(-1)!) };
    const [keep, all] = [random.int(1, 2), [...backups.slice(0, -1), newest]];
    const { backups: removed } = await decideCompared(all, [], { newest, keep, snapshots: [] }, problemOf);
    const gone = new Set(removed.map(({ name }) => name));
    const wholeChains = backups.filter((one) => one.base !== null && isWhole(one) && !gone.has(one.name)).length;
    if (gone.size > 0 && wholeChains < keep) return `G49: ${wholeChains} whole chains are left, and ${keep} are to be kept`;
    for (const one of backups)
      if (((await problemOf(one)) === null) !== isWhole(one)) return `G29: ${one.name} counts as ${isWhole(one) ? 'damaged' : 'whole'}`;
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
