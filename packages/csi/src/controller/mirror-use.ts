// Attaches a mirror through the rsiod of the controller, for as long as a call of the driver needs it. rsiod ends this when the connection of
// the order is closed, so that a driver that is killed leaves nothing attached. If rsiod itself is killed, the servers still name this client
// as the holder, and only this client can give the mirror back. Invariant: a node gets access only to a mirror that this client does not hold.

import type { MirrorSummary } from '@rsio/api/views/mirror-views';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import type { RsiodHold, Site } from '../product/orders.ts';
import { CsiError } from '../rpc/status.ts';
import type { ControllerParts } from './controller-parts.ts';

/** What people read if they ask rsiod which order has the mirror. */
const WHAT = 'rsio-csi';

interface MirrorUseParts extends Pick<ControllerParts, 'orders' | 'volumes'> {
  readonly hold: RsiodHold;
}

export class MirrorUse {
  private readonly parts: MirrorUseParts;

  constructor(parts: MirrorUseParts) {
    this.parts = parts;
  }

  /** Does the work while the mirror is attached. Throws FAILED_PRECONDITION if another client has the mirror, and UNAVAILABLE. */
  async during<T>(mirror: MirrorSummary, work: () => Promise<T>): Promise<T> {
    const { orders, hold } = this.parts;
    const name = volumeLabel(mirror);
    const held = await hold({ name, readOnly: false, server: null, alone: false, what: WHAT });
    try {
      const { ticket, outcome } = held.result;
      if (outcome.error !== null) {
        const { code, message } = outcome.error;
        const status = code === 'E_HELD' ? 'FAILED_PRECONDITION' : 'UNAVAILABLE';
        throw new CsiError(status, `Mirror ${mirror.name} cannot be attached by this driver: ${message} [${code}]`);
      }
      try {
        const { attachments } = await orders.own('local', { orders: true });
        if (!attachments.some(({ id }) => id === mirror.mirror))
          throw new CsiError('ABORTED', `Mirror ${mirror.name} was detached or exchanged meanwhile: repeat the call`);
        return await work();
      } finally {
        // If rsiod cannot detach the mirror now, it goes on trying, and `giveBack` waits for that.
        await orders.own('order-detach', { ticket }).catch(() => undefined);
      }
    } finally {
      held.close();
    }
  }

  /** Gives the mirror back if this client holds it, because rsiod was killed while it had the mirror. Throws UNAVAILABLE. */
  async giveBack(mirror: MirrorSummary, { nodename }: Pick<Site, 'nodename'>): Promise<void> {
    if (mirror.holder !== nodename) return;
    await this.during(mirror, async () => undefined);
    const again = await this.parts.volumes.mirror(mirror.mirror);
    if (again?.holder === nodename)
      throw new CsiError(
        'UNAVAILABLE',
        `Client ${nodename} of this driver still has mirror ${mirror.name}: repeat the call; rsconfig -l beside the driver lists it if a person has attached it`,
      );
  }
}
