// The control socket for the members of one group, who may see everything and change nothing (control-group in rssrvcfg). The socket has
// the same handlers as the control socket of rssrv's user. Invariants: a method that changes something is never executed. Readers cause no
// log lines. The connections of readers do not count against those of the administrator. The requests of readers are executed one at a time
// with pauses, so that other work is not delayed. The socket belongs to the group of the configuration in force, or of the configuration
// that is about to come into force.

import { counted } from '@rsio/base/lib/assert';
import { chmodSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CONTROL_GROUP } from '@rsio/common/config/control-group';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { type ControlServer, type HandlersOf, startControlServer } from '@rsio/common/control/control-server';
import {
  READ_CONNECTIONS_MAX,
  READ_LINE_MAX_BYTES,
  READ_REQUESTS_MAX,
  READ_REQUESTS_OUT_MAX,
  READ_UNREAD_MAX_BYTES,
} from '@rsio/common/control/limits';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { openToGroup } from '@rsio/base/daemon/socket-group';
import { groupId } from '@rsio/base/files/groups';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { ClientPace, ReadTurns } from './remote/client-pace.ts';

/** `isTrusted` is false: the audit trail omits the person on whose behalf a member asks, because members change nothing. */
const BOUNDS = {
  connections: READ_CONNECTIONS_MAX,
  requestsOut: READ_REQUESTS_OUT_MAX,
  lineBytes: READ_LINE_MAX_BYTES,
  unreadBytes: READ_UNREAD_MAX_BYTES,
  isTrusted: false,
};
/** Methods that cost next to nothing, or that wait on purpose. A reader may call the methods in this list without waiting for its turn. */
const WITHOUT_TURN: readonly ServerMethodName[] = ['daemon', 'change-show', 'events'];
const PASSABLE = { everybody: 0o001, group: 0o010 };

type Handlers = HandlersOf<typeof SERVER_METHODS>;
type Group = RssrvConfig['server']['controlGroup'];

/** A prepared change of the socket, which the caller commits or undoes. */
export interface ReadSocketChange {
  commit(): Promise<void>;
  undo(): Promise<void>;
}

interface Served {
  readonly group: string;
  readonly gid: number | undefined;
  readonly server: ControlServer;
}

export class ReadSocket {
  private readonly path: string;
  private readonly all: Handlers;
  private readonly log: Log;
  private readonly pace: ClientPace;
  private served: Served | null = null;
  private unanswered = 0;

  /** `all`: the handlers of all methods, with all rights. */
  constructor(path: string, all: Handlers, clock: Clock, log: Log) {
    this.path = path;
    this.all = all;
    this.log = log;
    this.pace = new ClientPace(clock, new ReadTurns());
  }

  /** Opens the socket, or changes its group. Throws E_CONFIG, E_RIGHTS or E_SYSTEM, and then leaves the socket unchanged. */
  async prepare(wanted: Group): Promise<ReadSocketChange> {
    const before = this.served;
    if (wanted === null) return { commit: () => this.close(), undo: async () => undefined };
    const { name } = wanted;
    const gid = groupId(name);
    if (before === null) return this.opened(name, gid);
    if (before.group === name && before.gid === gid) return { commit: async () => undefined, undo: async () => undefined };
    this.give(name, gid);
    return {
      commit: async () => {
        this.served = { group: name, gid, server: before.server };
        // Disconnect the readers, because they are members of the earlier group.
        before.server.disconnect();
      },
      undo: () => this.giveBack(before),
    };
  }

  /** Gives the socket back to the earlier group. If this change fails, closes the socket, so that no member of the new group can read. */
  private async giveBack({ group, gid, server }: Served): Promise<void> {
    server.disconnect();
    try {
      this.give(group, gid);
    } catch (thrown) {
      this.log.error(`The control socket for group ${group} is closed: ${toRsError(thrown).message}`);
      await this.close();
    }
  }

  async close(): Promise<void> {
    const { served } = this;
    this.served = null;
    await served?.server.close();
  }

  private async opened(group: string, gid: number | undefined): Promise<ReadSocketChange> {
    const server = await startControlServer(this.path, SERVER_METHODS, this.readingHandlers(), this.log, BOUNDS);
    try {
      this.give(group, gid);
    } catch (thrown) {
      await server.close();
      throw thrown;
    }
    return {
      commit: async () => {
        this.served = { group, gid, server };
      },
      undo: () => server.close(),
    };
  }

  private give(group: string, gid: number | undefined): void {
    openToGroup(this.path, group, CONTROL_GROUP);
    for (const folder of [dirname(dirname(this.path)), dirname(this.path)]) this.letPass(folder, group, gid);
  }

  /** Gives the group the right to enter a folder of RUN. A strict umask of the administrator may have made the folder inaccessible. */
  private letPass(folder: string, group: string, gid: number | undefined): void {
    try {
      const { mode, gid: owner } = statSync(folder);
      const isPassable = (mode & PASSABLE.everybody) !== 0 || (owner === gid && (mode & PASSABLE.group) !== 0);
      if (!isPassable) chmodSync(folder, (mode & 0o7777) | PASSABLE.everybody);
    } catch (thrown) {
      this.log.warn(`Members of group ${group} may not pass ${folder} (${toRsError(thrown).message}): run chmod o+x ${folder}`);
    }
  }

  private readingHandlers(): Handlers {
    const names = Object.keys(SERVER_METHODS) as ServerMethodName[];
    return Object.fromEntries(names.map((method) => [method, this.handlerOf(method, this.all[method])])) as Handlers;
  }

  private handlerOf(method: ServerMethodName, handler: Handlers[ServerMethodName]): (params: never) => Promise<unknown> {
    const execute = handler as (params: never) => unknown;
    if (SERVER_METHODS[method].repeats !== null) return () => Promise.reject(this.refusal(method));
    return (params) =>
      this.counted(async () => {
        await this.pace.request();
        return WITHOUT_TURN.includes(method) ? execute(params) : this.pace.read(async () => execute(params));
      });
  }

  /**
   * Bounds the number of unanswered requests. A bound on connections would not suffice, because the requests of a closed connection
   * continue.
   */
  private async counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.unanswered >= READ_REQUESTS_MAX)
      throw new RsError('E_LIMIT', `${READ_REQUESTS_MAX} requests of readers wait already: try again, or run as the user of rssrv`);
    this.unanswered++;
    try {
      return await work();
    } finally {
      this.unanswered = counted(this.unanswered - 1, 'unanswered requests');
    }
  }

  private refusal(method: string): RsError {
    const socket = this.path;
    const group = this.served?.group ?? '';
    const may = `members of group ${group} may only read through ${socket}`;
    return new RsError('E_RIGHTS', `Method ${method} is refused, because ${may}: run as root or as the user of rssrv`, {
      method,
      socket,
      group,
    });
  }
}
