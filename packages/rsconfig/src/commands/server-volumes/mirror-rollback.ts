// Gives a mirror that no client has the content of a snapshot (ADR 0075): attaches it, makes a snapshot of its present content, and writes what
// differs through it, as any client would. Invariants: before the first write, an error leaves the content as it was; after it, every error says
// that the content may be a mixture, and what to do. What the command attached it detaches.

import { randomUUID } from 'node:crypto';
import type { AttachmentView } from '@rsio/common/control/methods';
import type { MirrorSnapshot } from '@rsio/common/control/mirror-methods';
import { RsError, toRsError } from '@rsio/common/lib/errors';
import { exportName } from '@rsio/common/lib/volume-name';
import type { VolumeName } from '@rsio/common/manage/volumes/values';
import { copyChanges } from '../../backup/copy-changes.ts';
import { NbdClient } from '../../backup/nbd-client.ts';
import type { CommandContext } from '../../cli/context.ts';
import { timeName } from '../../output/time-name.ts';
import { whileAttached } from './while-attached.ts';

export interface Rollback {
  readonly namespace: string;
  /** Such as osl:db@0. */
  readonly label: string;
  readonly volume: VolumeName;
  readonly snapshot: string;
  /** Id of the snapshot, and the servers that have it. */
  readonly snapshotId: string;
  readonly servers: readonly string[];
}

type Target = Pick<NbdClient, 'sizeBytes' | 'write' | 'writeZeros' | 'flush'>;

/** Returns the snapshot of the content before. */
export async function rollBackMirror(context: CommandContext, asked: Rollback): Promise<MirrorSnapshot> {
  const { label, namespace, volume, snapshot } = asked;
  return whileAttached(context, label, { isReadonly: false, server: null }, async (view) => {
    if (view.readonly) throw new RsError('E_USAGE', `${label} is read-only on this client (rscltcfg): roll it back on another one`);
    const name = `before-rollback-${timeName(context.clock.wallMs())}`;
    // Not an id of the context: with --wait, the order may be repeated, and its content before is then that of another moment.
    const before = await context.call('mirror-snapshot', { ...volume, namespace, snapshot: name, id: randomUUID() });
    const common = asked.servers.find((one) => before.servers.includes(one)) ?? null;
    const [server = null] = asked.servers;
    await whileAttached(context, `${label}@${snapshot}`, { isReadonly: true, server: common ?? server }, async (source) => {
      const open: WriteBackPorts['open'] = (of, since) => NbdClient.open(context.paths.nbdSocket, exportName(of), since);
      const copy = (changed: AttachmentView | null): Promise<void> =>
        writeBack({ note: context.note, open }, asked, name, { mirror: view, from: source, changed });
      // Without a server that has both, everything is written.
      await (common === null ? copy(null) : whileAttached(context, `${label}@${name}`, { isReadonly: true, server: common }, copy));
    });
    return before;
  });
}

/** The three exports of a roll back. `changed`: the snapshot of the content before; null: everything is written. */
interface Exports {
  readonly mirror: AttachmentView;
  readonly from: AttachmentView;
  readonly changed: AttachmentView | null;
}

type Export = Target & Pick<NbdClient, 'read' | 'status' | 'close'>;

export interface WriteBackPorts {
  readonly note: (sentence: string) => void;
  /** Opens an export of rsiod. `context`: as `NbdClient.open` has it. */
  readonly open: (view: AttachmentView, context: string | null) => Promise<Export>;
}

/** `kept`: name of the snapshot with the content before. Throws with the word mixture as soon as something may have been written. */
export async function writeBack(
  ports: WriteBackPorts,
  { label, volume, snapshot, snapshotId }: Pick<Rollback, 'label' | 'volume' | 'snapshot' | 'snapshotId'>,
  kept: string,
  { mirror, from, changed }: Exports,
): Promise<void> {
  const open: Export[] = [];
  const nbd = async (view: AttachmentView, context: string | null): Promise<Export> => {
    const client = await ports.open(view, context);
    open.push(client);
    return client;
  };
  let hasWritten = false;
  try {
    const source = await nbd(from, null);
    const changes = changed === null ? null : await nbd(changed, `rsio:changed-since:${snapshotId}`);
    const target = await nbd(mirror, null);
    ports.note(
      `${label} gets the content of ${snapshot}: until this command ends, its content is a mixture, and the same command completes it`,
    );
    await copyChanges(
      rolledBack(source, changes, target.sizeBytes),
      noting(target, () => (hasWritten = true)),
    );
  } catch (thrown) {
    if (!hasWritten) throw thrown;
    const { message } = toRsError(thrown);
    const text = `${label} may be a mixture of its content before and of ${snapshot}, because its roll back has ended early: ${message}`;
    const again = `rsconfig volume rollback ${label}@${snapshot} completes it, and @${kept} has the content before`;
    // No code after which --wait repeats the order: the last error would then no longer speak of the mixture.
    throw new RsError('E_VOLUME', `${text}. ${again}`, { volume: volume.name });
  } finally {
    for (const client of open) client.close();
  }
}

/** What is to be written: all that differs, and zeros where the snapshot had nothing. `changes`: null: everything differs. */
function rolledBack(
  source: Pick<NbdClient, 'sizeBytes' | 'read'>,
  changes: Pick<NbdClient, 'status'> | null,
  sizeBytes: number,
): Pick<NbdClient, 'sizeBytes' | 'read' | 'status'> {
  return {
    sizeBytes,
    status: async (offsetBytes, lengthBytes) => (changes === null ? [{ lengthBytes, flags: 1 }] : changes.status(offsetBytes, lengthBytes)),
    read: async (offsetBytes, lengthBytes) => {
      const there = Math.max(0, Math.min(lengthBytes, source.sizeBytes - offsetBytes));
      const data = there === 0 ? Buffer.alloc(0) : await source.read(offsetBytes, there);
      return there === lengthBytes ? data : Buffer.concat([data, Buffer.alloc(lengthBytes - there)]);
    },
  };
}

function noting(target: Target, written: () => void): Target {
  return {
    sizeBytes: target.sizeBytes,
    write: (offsetBytes, data) => {
      written();
      return target.write(offsetBytes, data);
    },
    writeZeros: (offsetBytes, lengthBytes) => {
      written();
      return target.writeZeros(offsetBytes, lengthBytes);
    },
    flush: () => target.flush(),
  };
}
