// The control sockets for the members of groups (control-group, operate-group and admin-group in rssrvcfg), who have a part of the methods
// of the control socket of rssrv's user, or all of them. Invariants: a method that the role of the group may not call is never executed. A
// refused request, and any request of a reader, causes no log line. The connections and requests of a group do not count against those of
// rssrv's user or of another group. The requests of readers are executed one at a time with pauses, so that other work is not delayed. A
// socket belongs to the group of the configuration in force, or of the configuration that is about to come into force.

import { counted } from '@rsio/base/lib/assert';
import { chmodSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { byRole, LOCAL_ROLE_WORDS, LOCAL_ROLES, type LocalRole } from '@rsio/common/config/schema/local-roles';
import type { LocalGroups } from '@rsio/common/config/schema/types';
import {
  type Caller,
  CONTROL_BOUNDS,
  type ControlBounds,
  type ControlServer,
  type HandlersOf,
  startControlServer,
} from '@rsio/common/control/control-server';
import {
  GROUP_REQUESTS_MAX,
  READ_CONNECTIONS_MAX,
  READ_LINE_MAX_BYTES,
  READ_REQUESTS_MAX,
  READ_REQUESTS_OUT_MAX,
  READ_UNREAD_MAX_BYTES,
} from '@rsio/common/control/limits';
import { mayCall } from '@rsio/api/rssrv/may-call';
import { SERVER_METHODS, type ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { openToGroup } from '@rsio/base/daemon/socket-group';
import { groupId } from '@rsio/base/files/groups';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import type { Log } from '@rsio/base/log/log';
import { ClientPace, ReadTurns } from './remote/client-pace.ts';

interface Bounds extends ControlBounds {
  /** Maximum number of unanswered requests of all members. */
  readonly unanswered: number;
}

/** `isTrusted` is false for members who are no administrators: what they say of others on whose behalf they ask is not believed. */
const BOUNDS: { readonly [R in LocalRole]: Bounds } = {
  reader: {
    connections: READ_CONNECTIONS_MAX,
    requestsOut: READ_REQUESTS_OUT_MAX,
    lineBytes: READ_LINE_MAX_BYTES,
    unreadBytes: READ_UNREAD_MAX_BYTES,
    isTrusted: false,
    unanswered: READ_REQUESTS_MAX,
  },
  operator: { ...CONTROL_BOUNDS, isTrusted: false, unanswered: GROUP_REQUESTS_MAX },
  administrator: { ...CONTROL_BOUNDS, unanswered: GROUP_REQUESTS_MAX },
};
/** Methods that cost next to nothing, or that wait on purpose. A reader may call the methods in this list without waiting for its turn. */
const WITHOUT_TURN: readonly ServerMethodName[] = ['daemon', 'change-show', 'events'];
const PASSABLE = { everybody: 0o001, group: 0o010 };

type Handlers = HandlersOf<typeof SERVER_METHODS>;
type Handler = (params: never, gone?: AbortSignal, caller?: Caller) => Promise<unknown>;
type Group = LocalGroups[LocalRole];

/** A prepared change of sockets, which the caller commits or undoes. */
export interface GroupSocketChange {
  commit(): Promise<void>;
  undo(): Promise<void>;
}

interface Served {
  readonly group: string;
  readonly gid: number | undefined;
  readonly server: ControlServer;
}

export interface GroupSocketPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly paths: { readonly [R in LocalRole]: string };
  /** Returns the handlers of all methods for an asker with this role. */
  handlers(role: LocalRole): Handlers;
  /** Returns the user at the other end. */
  userOf(socket: Socket): string | null;
  /** Records that a member has asked for what its role may not call. */
  refused(method: ServerMethodName, params: object, caller: Caller | undefined, error: RsError): Promise<void>;
}

/** The sockets of all groups. */
export class GroupSockets {
  private readonly sockets: { readonly [R in LocalRole]: GroupSocket };
  private groups: LocalGroups = byRole(() => null);

  constructor(ports: GroupSocketPorts) {
    this.sockets = byRole((role) => new GroupSocket(role, ports, () => this.groups));
  }

  /** Opens the sockets, or changes their groups. Throws E_CONFIG, E_RIGHTS or E_SYSTEM, and then leaves all sockets unchanged. */
  async prepare(groups: LocalGroups): Promise<GroupSocketChange> {
    const changes: GroupSocketChange[] = [];
    const undo = async (): Promise<void> => {
      for (const change of changes) await change.undo();
    };
    try {
      for (const role of LOCAL_ROLES) changes.push(await this.sockets[role].prepare(groups[role]));
    } catch (thrown) {
      await undo();
      throw thrown;
    }
    const commit = async (): Promise<void> => {
      this.groups = groups;
      for (const change of changes) await change.commit();
    };
    return { commit, undo };
  }

  async close(): Promise<void> {
    for (const role of LOCAL_ROLES) await this.sockets[role].close();
  }
}

class GroupSocket {
  private readonly role: LocalRole;
  private readonly path: string;
  private readonly ports: GroupSocketPorts;
  private readonly all: Handlers;
  private readonly log: Log;
  private readonly groups: () => LocalGroups;
  /** Null: the requests of these members need no pauses. */
  private readonly pace: ClientPace | null;
  private served: Served | null = null;
  private unanswered = 0;

  /** `groups`: all groups in force. */
  constructor(role: LocalRole, ports: GroupSocketPorts, groups: () => LocalGroups) {
    this.role = role;
    this.path = ports.paths[role];
    this.ports = ports;
    this.all = ports.handlers(role);
    this.log = ports.log;
    this.groups = groups;
    this.pace = role === 'reader' ? new ClientPace(ports.clock, new ReadTurns()) : null;
  }

  /** Opens the socket, or changes its group. Throws E_CONFIG, E_RIGHTS or E_SYSTEM, and then leaves the socket unchanged. */
  async prepare(wanted: Group): Promise<GroupSocketChange> {
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
        // Disconnect the members of the earlier group.
        before.server.disconnect();
      },
      undo: () => this.giveBack(before),
    };
  }

  /** Gives the socket back to the earlier group. If this change fails, closes the socket, so that no member of the new group can use it. */
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

  private async opened(group: string, gid: number | undefined): Promise<GroupSocketChange> {
    const server = await startControlServer(this.path, SERVER_METHODS, this.openHandlers(), this.log, {
      ...BOUNDS[this.role],
      userOf: (socket) => this.ports.userOf(socket),
    });
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
    openToGroup(this.path, group, LOCAL_ROLE_WORDS[this.role].key);
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

  private openHandlers(): Handlers {
    const names = Object.keys(SERVER_METHODS) as ServerMethodName[];
    return Object.fromEntries(names.map((method) => [method, this.handlerOf(method, this.all[method])])) as Handlers;
  }

  private handlerOf(method: ServerMethodName, handler: Handlers[ServerMethodName]): Handler {
    const execute = handler as Handler;
    if (!mayCall(this.role, SERVER_METHODS[method]))
      return (params, _gone, caller) =>
        this.counted(async () => {
          await this.pace?.request();
          const error = this.refusal(method);
          await this.ports.refused(method, params, caller, error);
          throw error;
        });
    return (params, gone, caller) =>
      this.counted(async () => {
        const { pace } = this;
        if (pace === null) return execute(params, gone, caller);
        await pace.request();
        return WITHOUT_TURN.includes(method) ? execute(params, gone, caller) : pace.read(async () => execute(params, gone, caller));
      });
  }

  /**
   * Bounds the number of unanswered requests. A bound on connections would not suffice, because the requests of a closed connection
   * continue.
   */
  private async counted<T>(work: () => Promise<T>): Promise<T> {
    const { unanswered: most } = BOUNDS[this.role];
    if (this.unanswered >= most)
      throw new RsError('E_LIMIT', `${most} requests of ${this.role}s wait already: try again, or run as the user of rssrv`);
    this.unanswered++;
    try {
      return await work();
    } finally {
      this.unanswered = counted(this.unanswered - 1, 'unanswered requests');
    }
  }

  private refusal(method: ServerMethodName): RsError {
    const socket = this.path;
    const group = this.served?.group ?? '';
    const may = `members of group ${group} may only ${LOCAL_ROLE_WORDS[this.role].may} through ${socket}`;
    const others = LOCAL_ROLES.flatMap((role) => {
      const other = this.groups()[role];
      return other !== null && mayCall(role, SERVER_METHODS[method]) ? [`, or as a member of group ${other.name}`] : [];
    });
    const remedy = `run as root or as the user of rssrv${others.join('')}`;
    return new RsError('E_RIGHTS', `Method ${method} is refused, because ${may}: ${remedy}`, { method, socket, group, role: this.role });
  }
}
