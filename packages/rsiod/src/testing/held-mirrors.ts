// An attached mirror for tests of the commands that change mirrors: the production decider with scripted servers. A replica is open as soon
// as the decider has ordered the open. Invariant: the decider gets one event at a time, as from the real driver.

import { RsError } from '@rsio/base/lib/errors';
import type { MembershipEvent, MirrorView, MirrorWish } from '@rsio/protocol/mirror/membership/interface';
import { Membership } from '@rsio/protocol/mirror/membership/membership';
import type { VoteAnswer } from '@rsio/protocol/wire/mirror-messages';
import type { HeldMirror } from '../mirrors/commands/change.ts';
import type { ScriptedServer } from './mirror-servers.ts';

export class TestHeldMirror implements HeldMirror {
  readonly mirror: string;
  view: MirrorView | null = null;
  hasEnded = false;
  ending = '';
  private readonly servers: readonly ScriptedServer[];
  private readonly membership: Membership;
  private readonly events: MembershipEvent[] = [];
  private readonly wishes = new Map<number, (sentence: string) => void>();
  private isTaking = false;
  private wished = 0;

  constructor(mirror: string, servers: readonly ScriptedServer[]) {
    this.mirror = mirror;
    this.servers = servers;
    const { node, instance } = servers[0]!.client;
    const names = servers.map(({ serverid, name }) => ({ serverid, name }));
    const seed = { mirror, name: 'db', universe: 0, me: { node, instance }, takesOver: false, isAutomatic: false, servers: names };
    this.membership = new Membership(seed);
    for (const server of servers) if (server.trouble === null) this.up(server);
  }

  up({ serverid, name }: ScriptedServer): void {
    this.take({ kind: 'server-up', server: serverid, name });
  }

  /** Disconnects a server and loses its replica. */
  down(server: ScriptedServer): void {
    server.trouble = new RsError('E_NO_PATH', `Server ${server.name} of osl is not connected`);
    this.take({ kind: 'server-down', server: server.serverid });
    for (const { identity, server: at } of this.view?.replicas ?? [])
      if (at === server.serverid) this.take({ kind: 'silent', identity, sentence: `No path to server ${server.name}` });
  }

  take(event: MembershipEvent): void {
    this.events.push(event);
    if (this.isTaking) return;
    this.isTaking = true;
    for (let next = this.events.shift(); next !== undefined; next = this.events.shift()) this.on(next);
    this.isTaking = false;
  }

  wish(wish: MirrorWish): Promise<string> {
    if (this.hasEnded) return Promise.resolve('The mirror is not attached any more');
    const id = ++this.wished;
    return new Promise((resolve) => {
      this.wishes.set(id, resolve);
      this.take({ kind: 'wish', id, wish });
    });
  }

  /** Reports to the decider that all data has been copied to each replica that was away. */
  copied(): void {
    for (const { identity, role } of this.view?.replicas ?? []) {
      if (role !== 'returning') continue;
      this.take({ kind: 'caught-up', identity });
      this.take({ kind: 'joined-flushed', identity });
    }
  }

  private on(event: MembershipEvent): void {
    for (const order of this.membership.on(event)) {
      if (order.kind === 'vote') {
        const { server, order: number, request } = order;
        void this.asked(server, { ...request, mirror: this.mirror }).then((answer) =>
          this.take({ kind: 'voted', server, order: number, answer }),
        );
      } else if (order.kind === 'open') this.take({ kind: 'opened', identity: order.identity, sizeBytes: 2 ** 40 });
      else if (order.kind === 'view') this.view = order.view;
      else if (order.kind === 'wished') {
        this.wishes.get(order.id)?.(order.sentence);
        this.wishes.delete(order.id);
      } else if (order.kind === 'end' || order.kind === 'detached') {
        this.hasEnded = true;
        this.ending = order.kind === 'end' ? order.sentence : 'detached';
        for (const resolve of this.wishes.values()) resolve('The mirror is not attached any more');
      }
    }
  }

  private async asked(serverid: number, order: Parameters<ScriptedServer['vote']>[0]): Promise<VoteAnswer | null> {
    const server = this.servers.find((one) => one.serverid === serverid);
    if (server === undefined || server.trouble !== null) return null;
    try {
      return await server.vote(order);
    } catch {
      return null;
    }
  }
}
