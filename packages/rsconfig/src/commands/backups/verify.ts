// Implements `backup-verify`: compares the files of each chain with the checksums in their descriptions, reads backups through their chains,
// as a restore reads them, and compares them with their snapshots. Invariants: a backup that can be compared with neither is an error; no
// file and no description that looks like a backup of the volume is passed over in silence.

import path from 'node:path';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import type { SnapshotView } from '@rsio/api/views/views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { list, object, type Of, orNull, text, word } from '@rsio/base/lib/shape';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { type BackupChain, chainUri, readChain } from '../../backup/backup-chain.ts';
import { compareWith } from '../../backup/backup.ts';
import { LinkCheck, uncomparedIn } from '../../backup/link-check.ts';
import { qemuImgIn } from '../../backup/qemu-tools.ts';
import { checkDirectory, filesToVerify, withBackups } from '../../backup/run-folder.ts';
import { type CommandWork, withWork } from '../../cli/command-work.ts';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { findAnywhere } from '../server-volumes/find.ts';
import { whileAttached } from '../server-volumes/while-attached.ts';
import { checkId, volumeInFiles } from './attached-snapshot.ts';
import { whileKept } from './restore.ts';

const VERIFIED = object({
  file: text(),
  by: orNull(word(['snapshot', 'checksums']), 'What it was compared with; null: nothing'),
  problem: orNull(text(), 'null: it has the content of its snapshot'),
});
type Verified = Of<typeof VERIFIED>;

export const BACKUP_VERIFY = defineCommand({
  call: { by: 'words', words: 'backup-verify' },
  synopsis: 'backup-verify FILE\nbackup-verify NAME DIRECTORY',
  summary: 'reads backups back and compares them',
  details: `With FILE, the command verifies one backup. With NAME and DIRECTORY, it verifies
all backups of the volume there. The command reads each file of the chain, and
compares it with the length and the SHA-256 in its description, which were
computed when the backup was made. If the snapshot of a backup still exists at
the server, the command also reads the backup through its chain, as rsconfig
restore does, and compares all of it with the snapshot. The snapshot of the
newest backup of rsconfig backup-run always exists. qemu-img also checks each
chain. If a backup differs, is damaged, lacks its file or its description, or
cannot be verified, the command names it and ends with status 1.`,
  options: { json: JSON_OPTION },
  json: object({ backups: list(VERIFIED) }),
  operands: { min: 1, max: 2 },
  run: async (context, { json }, [first = '', directory]) => {
    const said = { kind: 'backup-verify' as const, name: first, about: directory === undefined ? '' : `in ${directory}` };
    const backups = await withWork(context, said, (work) =>
      directory === undefined ? verifyFile(context, first, work) : verifyAll(context, first, directory, work),
    );
    for (const { file, problem } of backups) if (problem !== null) context.report('E_SYSTEM', `${file}: ${problem}`);
    if (json) printJson(context, { backups });
    else for (const { file, by, problem } of backups) if (problem === null) context.out(`${file} is whole: ${SAID[by ?? 'checksums']}\n`);
    return backups.every(({ problem }) => problem === null) ? undefined : 1;
  },
});

const NO_CHECKSUM = 'has no checksum in its description: only a new backup can be verified';
const SAID = { snapshot: 'it has the content of its snapshot', checksums: 'its files have their checksums, and its snapshot is gone' };

async function verifyFile(context: CommandContext, file: string, work: CommandWork): Promise<Verified[]> {
  return await whileKept(file, async () => {
    const [record = null] = (await readChain(file, false)).records;
    const [, label = ''] = /^(.*)@[^@]+$/.exec(record?.snapshot ?? '') ?? [];
    return [await new Verification(context, label, work).verify(file)];
  });
}

async function verifyAll(context: CommandContext, name: string, directory: string, work: CommandWork): Promise<Verified[]> {
  const named = volumeInFiles(name, 'NAME and DIRECTORY, or FILE');
  await checkDirectory(directory);
  return await withBackups(directory, named, false, async () => {
    const files = await filesToVerify(directory, named, context.note);
    if (files.length === 0) throw usageError(`${directory} has no backup of ${name}: mount the disk for backups`);
    const verification = new Verification(context, name, work);
    const verified: Verified[] = [];
    for (const file of files) verified.push(await verification.verify(path.join(directory, file)));
    return verified;
  });
}

class Verification {
  private readonly context: CommandContext;
  private readonly volume: string;
  private seen: { readonly label: string; readonly snapshots: readonly SnapshotView[] } | null = null;
  private readonly work: CommandWork;
  private readonly links: LinkCheck;

  /** `volume`: the name of the volume of all backups. */
  constructor(context: CommandContext, volume: string, work: CommandWork) {
    [this.context, this.volume, this.work] = [context, volume, work];
    this.links = new LinkCheck(false, work);
  }

  async verify(file: string): Promise<Verified> {
    let by: Verified['by'] = null;
    try {
      const chain = await readChain(file, false);
      const damage = await this.links.problemOf(chain);
      if (damage !== null) return { file, by: 'checksums', problem: damage };
      await qemuImgIn(chain.folder, 'check', '-q', chainUri(chain));
      by = (await this.compareSnapshot(chain)) ? 'snapshot' : 'checksums';
      const missing = by === 'snapshot' ? [] : uncomparedIn(chain);
      const problem = missing.length === 0 ? null : `its snapshot is gone, and ${missing.join(', ')} ${NO_CHECKSUM}`;
      return { file, by, problem };
    } catch (thrown) {
      return { file, by, problem: toRsError(thrown).message };
    }
  }

  /** Returns false if the snapshot of the backup is gone. Throws E_SYSTEM if the backup has another content. */
  private async compareSnapshot(chain: BackupChain): Promise<boolean> {
    const { context } = this;
    const { label, snapshots } = (this.seen ??= await this.snapshots());
    const [record = null] = chain.records;
    const seen = snapshots.find(({ id, snapshot }) => id === record?.snapshotId && record.snapshot === `${label}@${snapshot}`);
    if (seen === undefined) return false;
    await whileAttached(
      context,
      `${label}@${seen.snapshot}`,
      { as: 'read', server: null, what: 'rsconfig backup-verify' },
      async (view) => {
        checkId(view, seen.id, volumeLabel(view));
        await compareWith(context, chain, view, this.work);
      },
    );
    return true;
  }

  private async snapshots(): Promise<{ readonly label: string; readonly snapshots: readonly SnapshotView[] }> {
    try {
      const target = await findAnywhere(this.context, this.volume, 'show');
      const { snapshots } = await target.call('volume-show', target.volume);
      return { label: target.label(target.volume), snapshots };
    } catch (thrown) {
      // The volume may have been removed, and its backups are then verified by their checksums.
      if (thrown instanceof RsError && thrown.code === 'E_UNKNOWN_VOLUME') return { label: '', snapshots: [] };
      throw thrown;
    }
  }
}
