// The ports of a mirror's driver: servers, data path and decider. Invariant: the driver uses no other part of rsiod, so that tests and the
// simulator can provide their own servers and data path.

import type { Clock } from '@rsio/base/lib/clock';
import type { ErrorCode } from '@rsio/base/lib/errors';
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

/** The data path and the copier, as the driver uses them. None of these methods calls a method of the driver before it returns. */
export interface MirrorData {
  setView(view: MirrorView): void;
  /**
   * Called when this client has become the holder. I/O begins when the intent maps have been read. `isClean`: true if the previous holder
   * has cleanly detached the mirror.
   */
  serve(isClean: boolean): void;
  /** Called when a replica is open. All later changes must also be sent to this replica. */
  opened(identity: string, attachment: Attachment, server: DriverServer): void;
  giveUp(identity: string): void;
  /** Answers all waiting and all later I/O with `status`. */
  end(status: number, sentence: string): void;
}

export interface DriverPorts {
  readonly clock: Clock;
  random(): number;
  servers(): readonly DriverServer[];
  newLog(): ReplayLog | null;
  patienceMs(): number;
  readonly data: MirrorData;
  detached(): void;
  /** Called when this client cannot get the mirror or has lost it. All sessions are closed. */
  ended(code: ErrorCode, sentence: string): void;
  /** Adds an event about a replica, `what`. */
  note(what: string, from: string, to: string, sentence: string): void;
}
