// Converts an attached mirror to the view that the control methods return. Pure. The view of a volume in general is made in
// control/views.ts; replica-changes.ts defines the words for the states of replicas.

import type { AttachedMirrorView, VerificationView } from '@rsio/api/views/mirror-views';
import type { ResyncProgress } from '@rsio/protocol/mirror/copy/copy-ports';
import type { MirrorView } from '@rsio/protocol/mirror/membership/interface';
import type { VerifyReport } from '@rsio/protocol/mirror/verify/verifier';
import { stateOf } from './replica-changes.ts';

/** Progress of the copier, and the range that it could not read; null if it has read everything. */
export interface CopyFacts {
  readonly progress: readonly ResyncProgress[];
  readonly unreadable: Range | null;
}

interface Range {
  readonly beginBytes: number;
  readonly endBytes: number;
}

export function unreadableText({ beginBytes, endBytes }: Range): string {
  return `No replica in sync can read ${endBytes - beginBytes} bytes at ${beginBytes}, so that they are not copied: check the storage of their servers; writing there helps, too`;
}

export function attachedMirrorView(
  label: string,
  view: MirrorView | null,
  { progress, unreadable }: CopyFacts,
  serverName: (serverid: number) => string,
): AttachedMirrorView {
  const replicas = (view?.replicas ?? []).map((replica) => {
    const state = stateOf(replica);
    const copy = state === 'in sync' ? undefined : progress.find(({ identity }) => identity === replica.identity);
    return {
      server: serverName(replica.server),
      state,
      isOpen: replica.session === 'open',
      leftBytes: copy === undefined ? null : copy.bytesLeft,
      copiedBytes: copy?.bytesCopied ?? null,
      bytesPerSecond: copy?.bytesPerSecond ?? null,
      etaMs: copy?.etaMs ?? null,
    };
  });
  return {
    volume: label,
    term: view?.term ?? 0,
    waitsFor: view?.waitsFor ?? (unreadable === null ? null : unreadableText(unreadable)),
    replicas,
  };
}

export function verificationView(label: string, report: VerifyReport, serverOf: (identity: string) => string): VerificationView {
  const ranges = report.ranges.map(({ replicas, ...range }) => ({ ...range, servers: replicas.map(serverOf) }));
  const { unread } = report;
  const place =
    unread === null ? null : `bytes ${unread.beginBytes} to ${unread.endBytes - 1} at ${serverOf(unread.replica)}: ${unread.sentence}`;
  return { volume: label, ...report, ranges, unread: place };
}
