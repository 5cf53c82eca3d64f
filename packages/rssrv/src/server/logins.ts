// The logins of proven clients, and the sessions that are being started for them. admissions.ts executes the steps (docs/PROTOCOL.md, Data
// processes). Invariant: all starts of sessions for one node belong to one client process, and each data process has at most one start.

import type { Socket } from 'node:net';
import { OneByOne } from '@rsio/base/structures/one-by-one';
import type { ClientIdentity } from '../volumes/holds/grants.ts';
import type { Admission } from '../session/server-path.ts';
import { ByNode } from './by-node.ts';
import type { KeyProven } from './unproven-limiter.ts';

/** A proven connection that asks for a new session. */
export interface Login {
  readonly socket: Socket;
  readonly proven: KeyProven & { readonly kind: 'new' };
  readonly admission: Admission;
}

/** A session that is being started. */
export interface Start {
  /** The login that will get the session. A later login of the same data process takes the place of this login. */
  login: Login;
  readonly dataProcess: number;
  /**
   * Saves the notes about the client's instance for all starts of the node, one after another. A start that found the note of another start
   * in memory would otherwise end old sessions before this note is durable.
   */
  readonly notes: OneByOne;
  /** True if a reload has removed the node or changed its key. The client's proof is therefore no longer valid. */
  isDismissed: boolean;
}

export class Logins {
  private readonly starts = new ByNode<Start>();

  of(node: string): readonly Start[] {
    return this.starts.of(node);
  }

  /**
   * Returns the new start for the login. If a session is being started for the same data process, returns the login whose place this login
   * has taken. Returns null if a session is being started for another process of the node.
   */
  add(login: Login): Start | { readonly replaced: Login } | null {
    const { hello } = login.proven;
    const { node, dataProcess = 0 } = hello;
    const others = this.of(node);
    if (others.some((start) => !isSameProcess(start.login.proven.hello, hello))) return null;
    const earlier = others.find((start) => start.dataProcess === dataProcess);
    if (earlier !== undefined) {
      const replaced = earlier.login;
      earlier.login = login;
      return { replaced };
    }
    const start = { login, dataProcess, notes: others[0]?.notes ?? new OneByOne(), isDismissed: false };
    this.starts.add(node, start);
    return start;
  }

  remove(start: Start): void {
    this.starts.remove(start.login.proven.hello.node, start);
  }
}

export function clientOf({ socket, proven: { hello } }: Login): ClientIdentity {
  const { node, instance, machine, boot, process } = hello;
  return { node, instance, machine, boot, process, address: socket.remoteAddress ?? '' };
}

function isSameProcess(one: KeyProven['hello'], other: KeyProven['hello']): boolean {
  return (['instance', 'machine', 'boot', 'process'] as const).every((field) => one[field] === other[field]);
}

/** Why an instance is refused for ever. A machine that was set back to an old image has the number of an earlier instance, too. */
export function replacedText({ instance, node }: ClientIdentity): string {
  const remedy =
    'if its state was restored from a backup, rsconfig identity new there (a server: remove identity.json from its state directory), and start it again';
  return `Instance ${instance} of node ${node} was replaced by a later one: ${remedy}`;
}
