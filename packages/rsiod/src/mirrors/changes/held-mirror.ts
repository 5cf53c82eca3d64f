// An attached mirror as the commands that change its members and voters see it, and one step of such a change. Invariant: a step that is not
// done in time is given up, or it is said that the voters may have agreed to it: then it is completed by the client that has the mirror.

import type { Clock } from '@rsio/common/lib/clock';
import { RsError } from '@rsio/common/lib/errors';
import { printDuration } from '@rsio/common/lib/units';
import type { MirrorView, MirrorWish } from '@rsio/protocol/mirror/membership/interface';
import { STEP_AGREED_MS } from './limits.ts';

export interface HeldMirror {
  /** Id of the mirror. */
  readonly mirror: string;
  /** The last view of the decider; null before the first one. */
  readonly view: MirrorView | null;
  /** True if it is not attached any more. */
  readonly hasEnded: boolean;
  readonly blockSizeBytes: number;
  /** Resolves with '' if the wish is done, and with the reason if it is refused. */
  wish(wish: MirrorWish): Promise<string>;
}

/** The parts of an attached mirror that this needs. */
export interface AttachedParts {
  readonly driver: Pick<HeldMirror, 'mirror' | 'view' | 'hasEnded' | 'wish'>;
  readonly io: { readonly volume: { readonly blockSizeBytes: number } | null };
}

export function heldMirror({ driver, io }: AttachedParts): HeldMirror {
  return {
    mirror: driver.mirror,
    get view() {
      return driver.view;
    },
    get hasEnded() {
      return driver.hasEnded;
    },
    blockSizeBytes: io.volume?.blockSizeBytes ?? 512,
    wish: (wish) => driver.wish(wish),
  };
}

/** Waits until the wish is done. Throws E_VOLUME with the reason of a refusal, and E_TIMEOUT with what it has waited for. */
export async function grant(held: HeldMirror, clock: Pick<Clock, 'after'>, wish: MirrorWish): Promise<void> {
  const granted = held.wish(wish);
  const first = await within(granted, clock);
  if (first === '') return;
  if (first !== null) throw new RsError('E_VOLUME', first);
  const waitsFor = held.view?.waitsFor ?? 'its servers do not answer';
  const late = `The mirror did not do it within ${printDuration(STEP_AGREED_MS)}: ${waitsFor}`;
  const kept = await held.wish({ kind: 'stop' });
  if (kept === '') throw new RsError('E_TIMEOUT', late);
  const last = await within(granted, clock);
  if (last === '') return;
  throw new RsError('E_TIMEOUT', `${late}; ${last ?? kept}`);
}

/** Null: there is no answer in time. */
function within(granted: Promise<string>, clock: Pick<Clock, 'after'>): Promise<string | null> {
  return new Promise((resolve) => {
    const timer = clock.after(STEP_AGREED_MS, () => resolve(null));
    void granted.then((answer) => {
      timer.cancel();
      resolve(answer);
    });
  });
}

/** True if a replica of this server is a member, or may become one: a configuration with it was sent, or nobody knows. */
export function mayBeMember({ hasEnded, view }: HeldMirror, serverid: number): boolean {
  return hasEnded || view === null || view.replicas.some((one) => one.server === serverid);
}
