// What the driver of a mirror needs of the client: servers, the data path and the decider. Invariant: the driver knows no other part of
// rsiod, so that tests and the simulator drive it against their own.

import type { Clock } from '@rsio/common/lib/clock';
import type { ErrorCode } from '@rsio/common/lib/errors';
import type { Attachment } from '@rsio/protocol/client/attachment';
import type { ReplayLog } from '@rsio/protocol/client/replay/replay-log';
import type { Trunk } from '@rsio/protocol/client/trunk';
import type { MembershipEvent, MembershipOrder, MirrorView } from '@rsio/protocol/mirror/membership/interface';

export interface DriverServer {
  readonly serverid: number;
  readonly name: string;
  readonly trunk: Trunk;
  /** Throws the error of the server, E_TIMEOUT or E_UNREACHABLE. */
  callAdmin(method: string, params: object, limitMs: number): Promise<unknown>;
  readonly opener: { add(attachment: Attachment): void; close(attachment: Attachment, closed: (problem: string | null) => void): void };
}

export interface Decider {
  on(event: MembershipEvent): readonly MembershipOrder[];
}

/** The data path and the copier. None of these methods calls back before it has returned. */
export interface MirrorData {
  setView(view: MirrorView): void;
  /** The client is the holder: the maps are read, and then I/O may begin. */
  serve(isClean: boolean): void;
  /** The replica has a session: from now on, changes go to it, too. */
  opened(identity: string, attachment: Attachment, server: DriverServer): void;
  giveUp(identity: string): void;
  /** Answers all I/O with `status`, now and later. */
  end(status: number, sentence: string): void;
}

export interface DriverPorts {
  readonly clock: Clock;
  /** A number from 0 to 1. */
  random(): number;
  /** The servers that this client knows in the namespace of the mirror. */
  servers(): readonly DriverServer[];
  newLog(): ReplayLog | null;
  patienceMs(): number;
  readonly data: MirrorData;
  detached(): void;
  /** The client does not have the mirror, or no longer. All sessions are closed. */
  ended(code: ErrorCode, sentence: string): void;
  /** Adds an event about a replica, `what`. */
  note(what: string, from: string, to: string, sentence: string): void;
}
