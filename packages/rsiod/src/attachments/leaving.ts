// Takes volumes out of the list of attached volumes, for a detach or for the end of an order. attachments.ts has the drawing of the steps.
// Invariants: each volume has at most one detach in progress; what an order has left stays if somebody else has it by then; a detach without
// force changes nothing if it fails. Rules: H1, E1, S11, M13.

import { sleep } from '@rsio/base/lib/waiting';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { isSnapshot } from '@rsio/base/lib/volume-name';
import { inUse } from '../frontends/frontend.ts';
import type { Frontends } from '../frontends/frontends.ts';
import type { Mirrors } from '../mirrors/mirrors.ts';
import type { Server } from '../network/server.ts';
import type { Volume } from '../volumes/volume.ts';
import { flushForLast, lossByForce, withinDetachWait } from './final-flush.ts';
import { labelOf } from './offers.ts';
import { DETACH_WAIT_MS, MIRROR_FORCED_WAIT_MS, USERS_END_MS, USERS_LOOK_MS } from './limits.ts';
import type { Owners } from './owners.ts';
import type { Reports } from './reports.ts';
import type { AttachedMirror } from '../mirrors/attached-mirror.ts';

export interface LeavingParts {
  readonly ports: {
    readonly clock: Clock;
    readonly log: Log;
    readonly frontends: Frontends;
    readonly reports: Pick<Reports, 'cut'>;
  };
  /** The attached volumes; a detach removes its volume. */
  readonly volumes: Volume[];
  readonly owners: Owners;
  readonly mirrors: Mirrors;
  /** See `Attachments`. */
  readonly detached: Set<string>;
  serverOf(volume: Volume): Server | undefined;
}

export class Leaving {
  private readonly parts: LeavingParts;
  private readonly leaves = new Map<Volume, Promise<void>>();

  constructor(parts: LeavingParts) {
    this.parts = parts;
  }

  /** The detach of the volume that is in progress. */
  of(volume: Volume): Promise<void> | undefined {
    return this.leaves.get(volume);
  }

  /**
   * Detaches a volume. If another request is already detaching the volume, the function first waits for that detach, which may fail.
   * Returns false if the volume is no longer attached after the wait. `why`: `asked` by a person or program, so that the configuration key
   * `attach` no longer applies to the volume; `unowned`: an order was its last owner, so that it stays if it has another one by now;
   * `unshown`: no device could be made.
   */
  async leave(volume: Volume, label: string, force: boolean, why: 'asked' | 'unowned' | 'unshown'): Promise<boolean> {
    for (let other = this.leaves.get(volume); other !== undefined; other = this.leaves.get(volume)) await other.catch(() => undefined);
    if (!this.parts.volumes.includes(volume) || (why === 'unowned' && !this.parts.owners.isFree(label))) return false;
    const closed = this.close(volume, label, force, why === 'asked').finally(() => this.leaves.delete(volume));
    this.leaves.set(volume, closed);
    await closed;
    return true;
  }

  /**
   * Closes the volume with this label if it is attached, and nobody has it. Programs that still use it are cut off at once. `isForced`: nobody
   * waits for their end. Throws the errors of a detach.
   */
  async leaveUnowned(label: string, isForced: boolean): Promise<void> {
    const { volumes, owners, ports } = this.parts;
    const volume = volumes.find((one) => labelOf(one) === label);
    if (volume === undefined) return owners.closed(label);
    if (owners.isFree(label)) {
      // What writes for an order may outlive the order, and must not write when a path is up again.
      volume.refuseUsers();
      ports.frontends.cut(volume);
      if (!isForced) await this.untilUnused(volume);
    }
    // Without a path, only a later CLOSE can end the hold.
    await this.leave(volume, label, isForced && volume.target.pathCount > 0, 'unowned');
  }

  /** A command that has ended well has closed its connections, but this process may not have noticed their end yet. */
  private async untilUnused(volume: Volume): Promise<void> {
    const { clock, frontends } = this.parts.ports;
    const endMs = clock.monotonicMs() + USERS_END_MS;
    while ((await frontends.usersOf(volume)).length > 0 && clock.monotonicMs() < endMs) await sleep(clock, USERS_LOOK_MS);
  }

  /**
   * Called when somebody has got an attached volume. Its users were refused if nobody had it for a moment. A detach in progress admits them
   * itself if it fails.
   */
  admit(volume: Volume): void {
    if (this.parts.volumes.includes(volume) && !this.leaves.has(volume)) volume.admitUsers();
  }

  private async close(volume: Volume, label: string, force: boolean, isAsked: boolean): Promise<void> {
    const { frontends, clock } = this.parts.ports;
    const users = [...(isAsked ? this.parts.owners.ordersOf(label) : []), ...(await frontends.usersOf(volume))];
    if (users.length > 0 && !force) throw inUse(users);
    if (volume.target.pathCount === 0 && !force) {
      throw new RsError(
        'E_NO_PATH',
        `There is no path to ${volume.serverText}, which must be informed: wait for a path (rsconfig -m status -v), or use --force`,
      );
    }
    const isReachable = volume.target.standing !== 'halted';
    let isFlushed = false;
    try {
      await frontends.hide(volume, force);
      // Programs that are still connected, or that connect now, must not write after the final flush.
      volume.refuseUsers();
      if (isReachable || !force) {
        await flushForLast(volume, label, clock);
        isFlushed = true;
      }
    } catch (error) {
      if (!force) {
        if (!this.parts.owners.isFree(label)) volume.admitUsers();
        // The devices must not be shown again if another client has taken the volume during the detach.
        if (this.parts.volumes.includes(volume)) {
          await frontends.show(volume).catch((thrown: unknown) => this.parts.ports.log.warn(`${label}: ${toRsError(thrown).message}`));
        }
        throw error;
      }
    }
    volume.refuseUsers();
    const loss = force ? lossByForce(users, isFlushed ? 0 : volume.unflushedBytes, volume.serverText) : null;
    if (loss !== null) this.parts.ports.reports.cut(volume, loss);
    // Abandon the requests in flight, because the server could execute them after the next attach and overwrite newer data.
    const mirror = this.parts.mirrors.of(volume.target);
    if (force && (mirror === null || !isFlushed)) volume.abandon();
    const at = this.parts.volumes.indexOf(volume);
    if (at >= 0) this.parts.volumes.splice(at, 1);
    this.parts.owners.drop(label);
    if (isAsked && !isSnapshot(volume.name)) this.parts.detached.add(`${label} ${volume.id}`);
    // Without force, the server is reachable, because the volume has just been flushed. A detach without force succeeds only if the server
    // has released the hold.
    const closed =
      mirror === null
        ? closeAtServer(this.parts.serverOf(volume), volume, label, isReachable || !force, clock)
        : endMirror(mirror, this.parts.mirrors, isFlushed, force);
    await closed.catch((error: unknown) => {
      if (!force) throw error;
      this.parts.ports.log.warn(toRsError(error).message);
    });
    this.parts.ports.log.info(`Detached ${label}`);
  }
}

// The last step of a detach: ends the hold of a volume at its server, or the claim of a mirror. Before this step, attachments.ts has
// flushed the volume and removed it from the list, so that it no longer moves to another server. Invariant: each wait has a limit. Rules:
// H1, M13.
/** Throws E_VOLUME if the mirror was not recorded as cleanly detached. */
async function endMirror(mirror: AttachedMirror, mirrors: Mirrors, isFlushed: boolean, force: boolean): Promise<void> {
  const isClean = isFlushed && (await mirror.detach(force ? MIRROR_FORCED_WAIT_MS : DETACH_WAIT_MS));
  await mirrors.stop(mirror.io);
  if (!isClean) throw new RsError('E_VOLUME', mirror.uncleanEnd);
}

/**
 * Closes the volume at its server. If the server is unreachable, the function returns at once, and CLOSE is sent when a path is up again.
 * Throws E_TIMEOUT, and E_VOLUME if the server may still hold the volume for this node.
 */
async function closeAtServer(
  server: Server | undefined,
  { target }: Volume,
  label: string,
  isReachable: boolean,
  clock: Clock,
): Promise<void> {
  const [attachment] = target.attachments;
  if (server === undefined || attachment === undefined) return;
  if (!isReachable) {
    server.opener.close(attachment, () => undefined);
    return;
  }
  const problem = await withinDetachWait<string | null>(`close ${label}`, clock, (done) => server.opener.close(attachment, done));
  if (problem !== null)
    throw new RsError('E_VOLUME', `${label} is detached here, but server ${server.name} may still hold it for this node: ${problem}`);
}
