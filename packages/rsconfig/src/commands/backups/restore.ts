// Implements `restore`, which attaches a volume and writes a backup to it. Invariants: `restore` writes to a volume only after the user has
// confirmed, and only if nobody else has it attached here, or will have it attached again. No run of `backup-run` removes the backup meanwhile.

import { lstat, realpath } from 'node:fs/promises';
import path from 'node:path';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import type { AttachmentView } from '@rsio/api/rsiod/methods';
import { count, list, object, text } from '@rsio/base/lib/shape';
import { RsError } from '@rsio/base/lib/errors';
import { isSnapshot, parseVolumeName, volumeLabel } from '@rsio/base/lib/volume-name';
import { shownSize } from '@rsio/base/lib/units';
import { readChain } from '../../backup/backup-chain.ts';
import { noteUncompared, writeBack } from '../../backup/backup.ts';
import { LinkCheck, uncomparedIn, whileUnchanged } from '../../backup/link-check.ts';
import { withBackups } from '../../backup/run-folder.ts';
import { type CommandWork, withWork } from '../../cli/command-work.ts';
import { type CommandContext, defineCommand, usageError } from '../../cli/context.ts';
import { whileAttached } from '../server-volumes/while-attached.ts';
import { VERIFY_OPTION } from './backup.ts';

export const RESTORE = defineCommand({
  call: { by: 'words', words: 'restore' },
  synopsis: 'restore FILE NAME [--yes] [--verify] [--unproven]',
  summary: 'writes a backup to a volume',
  details: `FILE is a file that rsconfig backup has made; its backing files must be in the
same directory. The description of each file names its snapshot and its backing
file. A file that does not agree with its description is refused. The old
content of the volume is lost. The volume must not be attached here, no client
may hold it, and it must not be shared. The volume may be larger than the
backup; the rest of the volume becomes zeros. Before the command overwrites
anything, it reads all files, and compares them with the lengths and checksums
in their descriptions. It refuses a file that differs. It names each file that
an older rsconfig has made without a checksum, and restores it. --verify also
compares the volume with the backup at the end. A restore that is interrupted
leaves a volume that begins with the text "RSIO: a restore of this volume has
not completed": restore it again. The command attaches the volume, and detaches
it at the end. rsconfig volume restore is another command: it brings back a
removed volume, or gives a volume the content of its image.`,
  options: {
    yes: { kind: 'flag', help: 'do not ask' },
    unproven: {
      kind: 'flag',
      help: 'accept a description without the id of the backing\nfile, and a single file without a description',
    },
    verify: VERIFY_OPTION,
    json: JSON_OPTION,
  },
  json: object({
    volume: text(),
    file: text(),
    sizeBytes: count('Size of the backup'),
    uncompared: list(text(), 'Names of the files of the chain that have no checksum'),
  }),
  operands: { min: 2, max: 2 },
  run: async (context, { yes, verify, unproven, json }, [file = '', name = '']) => {
    const parts = parseVolumeName(name);
    if (parts === null || parts.snapshot !== null)
      throw usageError(`${name} is not the name of a volume: give NAME, such as oracle or osl:oracle@0`);
    const result = await whileKept(file, async () => {
      const chain = await readChain(file, unproven);
      if (!yes) await confirm(context, file, name);
      const said = { kind: 'restore' as const, name, about: `from ${file}` };
      const restored = async (work: CommandWork) => {
        const sizes = await Promise.all(chain.names.map(async (one) => (await lstat(path.join(chain.folder, one))).size));
        work.plan(sizes.reduce((sum, bytes) => sum + bytes, 0) + chain.sizeBytes * (verify ? 2 : 1));
        await new LinkCheck(false, work).check(chain);
        noteUncompared(context.note, chain);
        return await whileAttached(context, name, { as: 'overwrite', server: null, what: 'rsconfig restore' }, async (view) => {
          checkTarget(view);
          const sizeBytes = await writeBack(context, chain, view, verify, work);
          return { volume: volumeLabel(view), file, sizeBytes, uncompared: uncomparedIn(chain) };
        });
      };
      return await withWork(context, said, (work) => whileUnchanged(chain, () => restored(work)));
    });
    if (json) return printJson(context, result);
    context.out(`${result.volume} is restored from ${file}: ${shownSize(result.sizeBytes)}\n`);
    return undefined;
  },
});

/** Does `work` while no run of `backup-run` removes the file. */
export async function whileKept<T>(file: string, work: () => Promise<T>): Promise<T> {
  const real = await realpath(file).catch(() => file);
  const [, volume] = /^(.+)@[^@]+\.qcow2$/.exec(path.basename(real)) ?? [];
  return volume === undefined ? await work() : await withBackups(path.dirname(real), volume, false, work);
}

function checkTarget(view: AttachmentView): void {
  const label = volumeLabel(view);
  const refuse = (why: string): never => {
    throw new RsError('E_USAGE', `${label} is ${why}`);
  };
  const set = `rsconfig volume set ${label}`;
  if (isSnapshot(view.name) || view.readonly)
    refuse(`read-only: ${set} readonly=no, or remove readonly = yes from its section in rscltcfg, and restore it then`);
  // Other clients could write to the volume, or read a mixture of old and new data.
  if (view.shared) refuse(`shared, so that other clients may use it meanwhile: ${set} shared=no, restore it, and set shared=yes again`);
}

async function confirm(context: CommandContext, file: string, name: string): Promise<void> {
  if (context.ask === null) throw usageError(`Restoring ${file} overwrites ${name}: add --yes`);
  const answer = await context.ask(`Overwrite all of ${name} with ${file}? [y/N] `);
  if (!/^y(?:es)?$/i.test(answer.trim())) throw new RsError('E_USAGE', 'Nothing was changed');
}
