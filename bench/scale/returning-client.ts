// A client that returns like rsiod, because it consists of the same parts: a supervisor that connects, proves and retries, a trunk, and an
// opener that opens the volume again in each new session. The client has one path, and no frontend, no configuration and no list of
// volumes.

import { randomBytes } from 'node:crypto';
import { BufferPool } from '@rsio/base/structures/buffer-pool';
import { systemClock } from '@rsio/base/lib/clock';
import { DEAD_AFTER_MS, HEARTBEAT_INTERVAL_MS, SUSPECT_AFTER_MS } from '@rsio/common/config/schema/limits';
import { WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { Attachment } from '@rsio/protocol/client/attachment';
import { Opener } from '@rsio/protocol/client/opener';
import { type Endpoints, PathSupervisor } from '@rsio/protocol/client/path-supervisor';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import { Trunk } from '@rsio/protocol/client/trunk';
import { OutputPool } from '@rsio/protocol/wire/encoder';
import { PROTOCOL_VERSIONS } from '@rsio/protocol/wire/features';
import { STATUS } from '@rsio/protocol/wire/status';
import { TAKE } from '@rsio/protocol/wire/messages';

export interface ReturningNode {
  readonly name: string;
  readonly key: string;
  readonly namespaceid: number;
  /** Name of the volume. The volume is opened read-only, so that many clients can have it open. */
  readonly volume: string;
}

/** Buffers that all clients of this process share. */
const POOLS = { bodies: new BufferPool(WINDOW_BYTES), outputs: new OutputPool() };
const TIMES = { heartbeatMs: HEARTBEAT_INTERVAL_MS, suspectMs: SUSPECT_AFTER_MS, deadMs: DEAD_AFTER_MS };
const ENDED = 'The bench has measured';

export class ReturningClient {
  /** Why the server has refused the volume for good; null: it has not refused the volume. */
  failure: string | null = null;
  private readonly trunk: Trunk;
  private readonly supervisor: PathSupervisor;
  private readonly attachment: Attachment;

  /** Connects, and reconnects after each loss, until `stop`. */
  constructor(endpoints: Endpoints, { name, key, namespaceid, volume }: ReturningNode) {
    this.trunk = new Trunk(systemClock, TIMES, {
      sessionBegan: () => opener.openAll(),
      allQuiet: () => undefined,
      listChanged: () => undefined,
      interfacesReported: () => undefined,
      replaced: (sentence) => {
        this.failure = sentence;
      },
      ended: (status, reason) => opener.end(status, reason),
    });
    const opener = new Opener(this.trunk, systemClock, {
      opened: () => undefined,
      grown: () => undefined,
      failed: (_attachment, _status, sentence) => {
        this.failure = sentence;
      },
      waits: () => undefined,
    });
    this.attachment = new Attachment(volume, 0, true, TAKE.NO, null);
    const hello = {
      versions: PROTOCOL_VERSIONS,
      features: [],
      namespaceid,
      node: name,
      instance: 1,
      machine: name,
      boot: 'bench',
      process: null,
      interface: 'if0',
    };
    const identity = { nodekey: key, serverkey: null, hello };
    this.supervisor = new PathSupervisor(
      endpoints,
      identity,
      {
        clock: systemClock,
        connector: tcpConnector,
        random: randomBytes,
        pools: POOLS,
        trunkFor: () => this.trunk,
        stateChanged: () => undefined,
      },
      null,
    );
    opener.add(this.attachment);
    this.supervisor.start();
  }

  /** True if the client has a session with its volume open. */
  get isThere(): boolean {
    return this.supervisor.state === 'up' && this.attachment.phase === 'ready';
  }

  get standing(): string {
    return `path ${this.supervisor.state}, volume ${this.attachment.phase}: ${this.supervisor.lastErrorSentence ?? this.attachment.reason}`;
  }

  stop(): void {
    this.trunk.end(STATUS.IO_ERROR, ENDED);
    this.supervisor.retire(ENDED);
  }
}
