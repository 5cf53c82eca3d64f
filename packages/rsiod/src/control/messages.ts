// Messages from node to node through the servers (message-methods.ts). Servers keep messages for minutes; rsiod asks for them only while a
// local program waits for messages. Invariants: a call never waits at a server, so that it does not occupy the place of another call; each
// message is taken once, although several servers may have it; a server that fails is left alone for MESSAGE_REST_MS.

import { sleep } from '@rsio/base/lib/waiting';
import { MESSAGE_TEXT_MAX_BYTES } from '@rsio/common/control/limits';
import type { ControlMethods } from '@rsio/api/rsiod/methods';
import type { MessageView } from '@rsio/api/rsiod/message-methods';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError, toRsError } from '@rsio/base/lib/errors';
import { accepts, list, object, text } from '@rsio/base/lib/shape';
import type { Namespace } from '../network/namespace.ts';
import type { Server } from '../network/server.ts';
import {
  MESSAGE_CALL_MS,
  MESSAGE_IDS_KEPT_MAX,
  MESSAGE_NAME_MAX_CHARS,
  MESSAGE_POLL_MS,
  MESSAGE_REST_MS,
  MESSAGE_ROUNDS_MAX,
  MESSAGE_WAITERS_MAX,
  MESSAGES_KEPT_MAX,
  MESSAGES_TAKEN_MAX,
} from './limits.ts';

type Sending = ControlMethods['message-send'];
type Reading = ControlMethods['messages'];
type Taken = readonly { readonly id: string; readonly from: string; readonly text: string }[];

const ANSWER = object({ messages: list(object({ id: text(), from: text(), text: text() })) });
const isAnswer = accepts(ANSWER, 'open');

/** A server checks the messages of clients. rsiod checks the server's messages again, because rsiod keeps them. */
function isBounded({ id, from, text: sent }: Taken[number]): boolean {
  return id.length <= MESSAGE_NAME_MAX_CHARS && from.length <= MESSAGE_NAME_MAX_CHARS && Buffer.byteLength(sent) <= MESSAGE_TEXT_MAX_BYTES;
}

export interface MessagesPorts {
  readonly clock: Clock;
  readonly namespaces: {
    readonly list: readonly { readonly config: Pick<Namespace['config'], 'name'>; readonly orderedServers: readonly MessageServer[] }[];
  };
  newId(): string;
}

export type MessageServer = Pick<Server, 'name' | 'isConnected' | 'callAdmin'>;

interface Place {
  readonly namespace: string;
  readonly server: MessageServer;
}

export class Messages {
  private readonly ports: MessagesPorts;
  private readonly beganMs: number;
  private kept: MessageView[] = [];
  /** Keys of the received messages, including messages that are no longer kept, oldest first. */
  private readonly known = new Set<string>();
  private readonly restUntilMs = new WeakMap<MessageServer, number>();
  private last: number;
  private dropped: number;
  private asking: Promise<unknown> | null = null;
  private waiters = 0;

  constructor(ports: MessagesPorts) {
    this.ports = ports;
    // The numbers of an earlier process are smaller, because it received less than one message per millisecond.
    this.beganMs = ports.clock.wallMs();
    this.last = this.beganMs;
    this.dropped = this.beganMs;
  }

  /** Throws E_NO_PATH, or the error of a server if no server has accepted the message. */
  async send({ to, text: sent, namespace }: Sending['params']): Promise<Sending['result']> {
    const places = this.places().filter((one) => namespace === null || one.namespace === namespace);
    if (places.length === 0)
      throw new RsError(
        'E_NO_PATH',
        `No server${namespace === null ? '' : ` of namespace ${namespace}`} is connected: rsconfig -m status -v shows the paths`,
      );
    const id = this.ports.newId();
    const errors = await Promise.all(
      places.map(({ server }) =>
        server.callAdmin('message-send', { to, id, text: sent }, MESSAGE_CALL_MS).then(
          () => null,
          (thrown: unknown) => toRsError(thrown),
        ),
      ),
    );
    const [first = null] = errors;
    if (first !== null && !errors.includes(null)) throw first;
    const servers = places.map((one, index) => ({
      namespace: one.namespace,
      server: one.server.name,
      error: errors[index]?.message ?? null,
    }));
    return { id, servers };
  }

  /** Throws E_LIMIT if too many requests wait. */
  async read({ count, after = null, waitMs = 0 }: Reading['params']): Promise<Reading['result']> {
    if (this.waiters >= MESSAGE_WAITERS_MAX)
      throw new RsError('E_LIMIT', `${MESSAGE_WAITERS_MAX} programs already wait for messages: close one`);
    const { clock } = this.ports;
    const endMs = clock.monotonicMs() + waitMs;
    this.waiters++;
    try {
      for (;;) {
        await this.ask();
        const isThere = after === null || this.last > after;
        const leftMs = endMs - clock.monotonicMs();
        if (isThere || leftMs <= 0) return this.result(count, after);
        await sleep(clock, Math.min(leftMs, MESSAGE_POLL_MS));
      }
    } finally {
      this.waiters--;
    }
  }

  private result(count: number, after: number | null): Reading['result'] {
    const { kept, beganMs } = this;
    const messages = after === null ? kept.slice(-count) : kept.filter(({ number }) => number > after).slice(0, count);
    const missed = after === null ? 0 : Math.max(0, this.dropped - Math.max(after, beganMs));
    return { messages, missed, last: messages.at(-1)?.number ?? this.last, beganMs };
  }

  /** Asks all connected servers. Calls that arrive in the meantime share the answers. */
  private ask(): Promise<unknown> {
    const nowMs = this.ports.clock.monotonicMs();
    const places = this.places().filter(({ server }) => (this.restUntilMs.get(server) ?? 0) <= nowMs);
    this.asking ??= Promise.all(places.map((place) => this.askOne(place))).finally(() => (this.asking = null));
    return this.asking;
  }

  private async askOne({ namespace, server }: Place): Promise<void> {
    try {
      let taken: string[] = [];
      for (let round = 0; round < MESSAGE_ROUNDS_MAX; round++) {
        const answer = await server.callAdmin('message-take', { taken }, MESSAGE_CALL_MS);
        if (!isAnswer(answer)) throw new RsError('E_PROTOCOL', `Server ${server.name} sent no messages`);
        const tooLong = answer.messages.length > MESSAGES_TAKEN_MAX || answer.messages.some((one) => !isBounded(one));
        if (tooLong) throw new RsError('E_PROTOCOL', `Server ${server.name} sent more messages, or longer ones, than it may`);
        this.add(namespace, answer.messages);
        taken = answer.messages.map(({ id }) => id);
        // Only the next request confirms to the server that these messages have arrived.
        if (taken.length === 0) return;
      }
    } catch {
      // An earlier release does not support messages; a server that does not answer may still be executing the call.
      this.restUntilMs.set(server, this.ports.clock.monotonicMs() + MESSAGE_REST_MS);
    }
  }

  private add(namespace: string, taken: Taken): void {
    for (const { id, from, text: sent } of taken) {
      const key = `${namespace} ${from} ${id}`;
      if (this.known.has(key)) continue;
      this.known.add(key);
      this.kept.push({ number: ++this.last, atMs: this.ports.clock.wallMs(), namespace, from, id, text: sent });
    }
    for (const key of this.known) {
      if (this.known.size <= MESSAGE_IDS_KEPT_MAX) break;
      this.known.delete(key);
    }
    const tooMany = this.kept.splice(0, Math.max(0, this.kept.length - MESSAGES_KEPT_MAX));
    this.dropped = tooMany.at(-1)?.number ?? this.dropped;
  }

  private places(): Place[] {
    return this.ports.namespaces.list.flatMap(({ config, orderedServers }) =>
      orderedServers.filter(({ isConnected }) => isConnected).map((server) => ({ namespace: config.name, server })),
    );
  }
}
