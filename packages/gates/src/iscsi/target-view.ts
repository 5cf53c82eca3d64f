// The interface between an initiator's connection and its target, in both directions.
// Invariant: a session begins only when the earlier session of the same host, with the same ISID, has no I/O left.

import type { ConnectionEvents } from '../ports/gate-protocol.ts';
import type { GatePath } from '../order/gate-path.ts';
import type { ScsiNexus, TaskOwner } from '../scsi/port.ts';
import type { LoginNames, LoginPorts } from './login/login.ts';
import type { TargetEntry } from './target-texts.ts';

/** A connection whose login is done, and later its session. */
export interface EnteringSession {
  readonly names: LoginNames | null;
  /** The session begins now, with this number. */
  entered(tsih: number): void;
  /** There is no room for one more session. */
  turnedAway(): void;
  close(why: string): void;
}

export interface IscsiTargetView {
  /** Number of this gate among the gates of its target. */
  readonly portalGroup: number;
  nowMs(): number;
  loginPorts(events: ConnectionEvents): LoginPorts;
  /** Lists the targets that the initiator with these names may use. */
  entries(names: LoginNames | null): readonly TargetEntry[];
  /**
   * Calls `entered` of the session when it may begin, or `turnedAway` if there is no room; calls neither if the session is closed earlier.
   */
  enter(session: EnteringSession, names: LoginNames): void;
  begin(names: LoginNames, path: GatePath, owner: TaskOwner): ScsiNexus;
  /** The connection has finished, and nothing uses its session any more. */
  left(session: EnteringSession): void;
}
