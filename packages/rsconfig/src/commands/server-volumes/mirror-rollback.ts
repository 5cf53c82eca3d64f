// Rolls a mirror back to a snapshot (ADR 0075). No client may have attached the mirror. The command attaches the mirror, makes a snapshot
// of the current content, and writes the differing ranges to the mirror. Invariants: an error before the first write leaves the content
// unchanged. Every later error says that the content may be a mixture, and names a remedy. The command detaches everything that it has
// attached.

import { randomUUID } from 'node:crypto';
import type { AttachmentView } from '@rsio/api/rsiod/methods';
import type { MirrorSnapshot } from '@rsio/api/views/mirror-views';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { exportName } from '@rsio/base/lib/volume-name';
import type { VolumeName } from '@rsio/api/views/values';
import { copyChanges } from '../../backup/copy-changes.ts';
import { NbdClient } from '../../backup/nbd-client.ts';
import type { CommandContext } from '../../cli/context.ts';
import { timeName } from '@rsio/base/lib/time-name';
import { whileAttached } from './while-attached.ts';

const WHAT = 'rsconfig volume rollback';

export interface Rollback {
  readonly namespace: string;
  readonly label: string;
  readonly volume: VolumeName;
  readonly snapshot: string;
  readonly snapshotId: string;
  readonly servers: readonly string[];
}

type Target = Pick<NbdClient, 'sizeBytes' | 'write' | 'writeZeros' | 'flush'>;

/** Returns the snapshot with the content before the rollback. */
export async function rollBackMirror(context: CommandContext, asked: Rollback): Promise<MirrorSnapshot> {
  const { label, namespace, volume, snapshot } = asked;
  return whileAttached(context, label, { as: 'overwrite', server: null, what: WHAT }, async (view) => {
    if (view.readonly) throw new RsError('E_USAGE', `${label} is read-only on this client (rscltcfg): roll it back on another one`);
    const name = `before-rollback-${timeName(context.clock.wallMs())}`;
    // --wait may repeat the rollback. Each attempt has a new id, because it needs its own snapshot of the content before its first write.
    const before = await context.call('mirror-snapshot', { ...volume, namespace, snapshot: name, id: randomUUID() });
    const common = asked.servers.find((one) => before.servers.includes(one)) ?? null;
    const [server = null] = asked.servers;
    await whileAttached(context, `${label}@${snapshot}`, { as: 'read', server: common ?? server, what: WHAT }, async (source) => {
      const open: Open = (of, since) => NbdClient.open(context.paths.nbdSocket, exportName(of), since);
      const copy = (changed: AttachmentView | null): Promise<void> =>
        writeBack(context.note, open, asked, name, { mirror: view, from: source, changed });
      // If no server has both snapshots, the differences are unknown, so the rollback writes everything.
      await (common === null ? copy(null) : whileAttached(context, `${label}@${name}`, { as: 'read', server: common, what: WHAT }, copy));
    });
    return before;
  });
}

/**
 * The three exports of a rollback: the mirror, the snapshot from which the content is copied, and `changed`, the snapshot of the content
 * before the rollback. `changed` is null if everything is written.
 */
interface Exports {
  readonly mirror: AttachmentView;
  readonly from: AttachmentView;
  readonly changed: AttachmentView | null;
}

type Export = Target & Pick<NbdClient, 'read' | 'status' | 'close'>;

/** Opens an export of rsiod. `context`: see `NbdClient.open`. */
type Open = (view: AttachmentView, context: string | null) => Promise<Export>;

/**
 * Writes the content of the snapshot to the mirror. `kept`: name of the snapshot with the content before the rollback. After the first
 * write, every error says that the mirror may have a mixture of both contents.
 */
export async function writeBack(
  note: (sentence: string) => void,
  open: Open,
  { label, volume, snapshot, snapshotId }: Pick<Rollback, 'label' | 'volume' | 'snapshot' | 'snapshotId'>,
  kept: string,
  { mirror, from, changed }: Exports,
): Promise<void> {
  const opened: Export[] = [];
  const nbd = async (view: AttachmentView, context: string | null): Promise<Export> => {
    const client = await open(view, context);
    opened.push(client);
    return client;
  };
  let hasWritten = false;
  try {
    const source = await nbd(from, null);
    const changes = changed === null ? null : await nbd(changed, `rsio:changed-since:${snapshotId}`);
    const target = await nbd(mirror, null);
    note(`${label} gets the content of ${snapshot}: until this command ends, its content is a mixture, and the same command completes it`);
    await copyChanges(
      rolledBack(source, changes, target.sizeBytes),
      noting(target, () => (hasWritten = true)),
    );
  } catch (thrown) {
    if (!hasWritten) throw thrown;
    const { message } = toRsError(thrown);
    const text = `${label} may be a mixture of its content before and of ${snapshot}, because its roll back has ended early: ${message}`;
    const again = `rsconfig volume rollback ${label}@${snapshot} completes it, and @${kept} has the content before`;
    // The code is E_VOLUME, after which --wait does not repeat the rollback. The error of a repeated rollback would not mention the
    // mixture.
    throw new RsError('E_VOLUME', `${text}. ${again}`, { volume: volume.name });
  } finally {
    for (const client of opened) client.close();
  }
}

/**
 * Returns the source of the copy: the content of the snapshot, followed by zeros up to the size of the mirror, and the ranges that must be
 * copied. `changes`: the export that reports the differences; null if everything is copied.
 */
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
