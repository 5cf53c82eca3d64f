// One server as this client knows it: its trunk, what it calls itself, what it offers. It exists from the first CHALLENGE on; which of the
// configured addresses lead to it is learned there. Invariant: its list is that of the current session, or marked as old by being empty.

import type { Clock } from '@rsio/protocol/lib/clock';
import { RsError } from '@rsio/protocol/lib/errors';
import type { Attachment } from '@rsio/protocol/trunk/attachment';
import type { LivenessTimes } from '@rsio/protocol/trunk/failover';
import { Opener } from '@rsio/protocol/trunk/opener';
import { callSession } from '@rsio/protocol/trunk/session-call';
import { Trunk } from '@rsio/protocol/trunk/trunk';
import { OP } from '@rsio/protocol/wire/frames';
import { decodeListAnswer } from '@rsio/protocol/wire/message-codec';
import type { Challenge, VolumeEntry } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';

export interface ServerEvents {
  sessionBegan(server: Server, again: boolean): void;
  opened(server: Server, attachment: Attachment, again: boolean, newLife: boolean): void;
  openFailed(server: Server, attachment: Attachment, status: number, sentence: string): void;
  openWaits(server: Server, attachment: Attachment, sentence: string): void;
}

export class Server {
  readonly serverid: number;
  name: string;
  volumes: readonly VolumeEntry[] = [];
  /** Its list has been read in this session. */
  isListed = false;
  readonly trunk: Trunk;
  readonly opener: Opener;
  private readonly clock: Clock;
  private listAsked = false;
  private listWaiters: (() => void)[] = [];

  constructor(challenge: Challenge, times: LivenessTimes, clock: Clock, events: ServerEvents) {
    this.serverid = challenge.serverid;
    this.name = challenge.server;
    this.clock = clock;
    this.trunk = new Trunk(clock, times, {
      sessionBegan: (again) => {
        this.isListed = false;
        this.askList();
        this.opener.openAll();
        events.sessionBegan(this, again);
      },
      listChanged: () => this.askList(),
    });
    this.opener = new Opener(this.trunk, clock, {
      opened: (attachment, again, newLife) => events.opened(this, attachment, again, newLife),
      failed: (attachment, status, sentence) => events.openFailed(this, attachment, status, sentence),
      waits: (attachment, sentence) => events.openWaits(this, attachment, sentence),
    });
  }

  get isConnected(): boolean {
    return this.trunk.paths.length > 0;
  }

  /** A connection presents itself as this server. Throws when another server seems to use the same id. */
  meet(challenge: Challenge): void {
    const { session, paths } = this.trunk;
    const isAnother = session !== null && session.serverInstance !== challenge.instance && challenge.server !== this.name;
    if (isAnother && paths.length > 0) {
      throw new RsError(
        'E_PROTOCOL',
        `Servers ${this.name} and ${challenge.server} both claim serverid ${this.serverid}: give each its own in rssrvcfg`,
      );
    }
    this.name = challenge.server;
  }

  /** Reads the list anew; resolves when it is there, or after `waitMs`. */
  refresh(waitMs: number): Promise<void> {
    if (!this.isConnected) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.clock.after(waitMs, resolve);
      this.listWaiters.push(() => {
        timer.cancel();
        resolve();
      });
      this.askList();
    });
  }

  private askList(): void {
    if (this.listAsked) return;
    this.listAsked = true;
    callSession(this.trunk, { op: OP.LIST, attachment: null }, ({ status, bodies }) => {
      this.listAsked = false;
      if (status === STATUS.OK) {
        this.volumes = bodies.flatMap((body) => decodeListAnswer(body, 0, body.length).volumes);
        this.isListed = true;
      }
      for (const waiter of this.listWaiters.splice(0)) waiter();
    });
  }
}
