// Detects an I/O that a volume has forgotten. A forgotten I/O is unanswered, although the volume is ready and has no request that is in
// flight or waits to be sent. The I/O would hang forever, and no time-out would detect it. sim-judge.ts judges slow I/O. Invariant: the
// judge observes and changes nothing.

import type { Attachment, Standing } from '@rsio/protocol/client/attachment';

/** The client reports the end of an I/O to its user within this time after the last answer. */
const TOLD_WITHIN_MS = 150;

export interface JudgedVolume {
  readonly outstanding: number;
  readonly target: {
    readonly standing: Standing;
    readonly attachments: readonly Pick<Attachment, 'phase' | 'slotsHeld' | 'hasSendable'>[];
  };
}

export class IdleJudge {
  private readonly sinceMs = new WeakMap<JudgedVolume, number>();

  /**
   * Returns the time in ms for which an I/O has been forgotten. The judge reports each forgotten I/O only once. Null: there is no I/O to
   * report. `volume` is null if the volume is not attached.
   */
  forgottenMs(volume: JudgedVolume | null, nowMs: number): number | null {
    if (volume === null) return null;
    const { outstanding, target } = volume;
    const isIdle = target.attachments.every(({ phase, slotsHeld, hasSendable }) => phase === 'ready' && slotsHeld === 0 && !hasSendable);
    if (outstanding === 0 || !isIdle || target.standing !== 'ready') {
      this.sinceMs.delete(volume);
      return null;
    }
    const sinceMs = this.sinceMs.get(volume) ?? nowMs;
    this.sinceMs.set(volume, sinceMs);
    if (nowMs - sinceMs <= TOLD_WITHIN_MS) return null;
    this.sinceMs.set(volume, Number.POSITIVE_INFINITY);
    return nowMs - sinceMs;
  }
}
