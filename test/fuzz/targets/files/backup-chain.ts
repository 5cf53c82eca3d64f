// A restore of a foreign qcow2 file with an arbitrary header and description. Oracle: the file is refused with E_USAGE, or its chain has
// only plain names of files in the same folder, and header and description have the same names.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { chainUri, readChain } from '@rsio/rsconfig/backup/backup-chain';
import { parseQcow2Header } from '@rsio/rsconfig/backup/qcow2-header';
import { BACKUP_BYTES, qcow2, writeBackup } from '@rsio/rsconfig/testing/backup-folder';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { expectRefusal, expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { scratchFolder } from '../../fixtures/scratch.ts';
import { mutated } from '../../makers/mutator.ts';

// length of the header (u16) | header | description
const LENGTH_BYTES = 2;
const HEADER_BYTES = 512;
const NAME = 'db@x.qcow2';
const BASE = 'db@base.qcow2';
const NAMES = [
  BASE,
  NAME,
  'db@none.qcow2',
  '/etc/passwd',
  `../${BASE}`,
  'nbd:unix:/tmp/s',
  'nbd://10.0.0.1/x',
  'json:{"driver":"nbd"}',
  'a\u202eb',
];

let folder: string | null = null;

function make(random: SeededRandom): Buffer {
  const backing = random.chance(0.2) ? null : random.pick(NAMES);
  const extensions = random.chance(0.2)
    ? [[random.pick([0x44_41_54_41, 0xe2_79_2a_ca, 7]), random.pick([...NAMES, 'qcow2'])] as const]
    : [];
  const whole = qcow2({ backing, extensions, version: random.pick([2, 3]) }).subarray(0, HEADER_BYTES);
  const base = random.chance(0.6) ? backing : random.pick([BASE, random.pick(NAMES)]);
  const baseId = base === null ? null : random.pick(['b1', 'b2', null]);
  const text = JSON.stringify({ snapshot: 'osl:db@0@x', snapshotId: 'x1', sizeBytes: BACKUP_BYTES, base, baseId });
  const header = random.chance(0.5) ? whole : mutated(random, whole);
  const record = random.chance(0.7) ? Buffer.from(text) : mutated(random, Buffer.from(text));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(header.length % 65_536);
  return Buffer.concat([length, header, record]);
}

async function run(input: Buffer): Promise<boolean> {
  if (folder === null) {
    const parent = scratchFolder();
    folder = path.join(parent, 'backups');
    mkdirSync(folder);
    // The parent folder also has a valid base, so that a chain that leaves the folder would be noticed.
    for (const place of [parent, folder]) writeBackup(place, BASE, 'b1', null, null);
  }
  const end = LENGTH_BYTES + (input.length < LENGTH_BYTES ? 0 : input.readUInt16BE(0));
  const file = path.join(folder, NAME);
  const bytes = input.subarray(LENGTH_BYTES, end);
  writeFileSync(file, bytes);
  writeFileSync(`${file}.json`, input.subarray(end));
  let isTaken = false;
  for (const isUnproven of [false, true]) {
    try {
      const chain = await readChain(file, isUnproven);
      expectThat([NAME, `${NAME},${BASE}`].includes(chain.names.join(',')), `the chain has ${chain.names.join(', ')}`);
      const header = parseQcow2Header(bytes);
      const named = typeof header === 'string' ? header : header.backing;
      expectThat(named === (chain.names[1] ?? null), `the file stands on ${named}, and the chain is ${chain.names.join(', ')}`);
      expectThat(!chainUri(chain).includes('/'), 'qemu is told a path');
      isTaken = true;
    } catch (thrown) {
      expectRefusal(['E_USAGE'], thrown);
    }
  }
  return isTaken;
}

export const backupChain: FuzzTarget = { name: 'backup-chain', deep: 'a chain was accepted', fixedSeeds: 80, make, run };
