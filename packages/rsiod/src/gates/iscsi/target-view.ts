// What a connection of an initiator uses of its target, and the other way round.
// Invariant: a session begins only when the earlier session of the same host, with the same ISID, has no I/O left.

import type { ConnectionEvents } from '../ports/gate-protocol.ts';
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
  /** Lists what the initiator with these names may have. */
  entries(names: LoginNames | null): readonly TargetEntry[];
  /** `entered` or `turnedAway` of the session is called when it may begin; neither, if it is closed earlier. */
  enter(session: EnteringSession, names: LoginNames): void;
  begin(names: LoginNames, owner: TaskOwner): ScsiNexus;
  /** The connection has finished: nothing uses anything of its session. */
  left(session: EnteringSession): void;
}
