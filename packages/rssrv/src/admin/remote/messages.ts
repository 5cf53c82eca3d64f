// Messages from client to client, in memory. Invariants: the sender is the client of the session that asks; a client can send only to
// clients that may attach one of its volumes, and learns nothing about others; a flood by one sender pushes out only its own messages. A
// restart of the server loses all messages.

import type { HandlersOf } from '@rsio/common/control/control-server';
import { MESSAGE_TEXT_MAX_BYTES } from '@rsio/common/control/limits';
import type { SERVER_MESSAGE_METHODS } from '@rsio/api/rssrv/message-methods';
import type { Clock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { quoteText } from '@rsio/base/lib/units';
import type { Asker } from '../../pools/asker.ts';
import { isFor } from '../../storage/io/served-volume.ts';
import { MESSAGE_ID_MAX_CHARS, MESSAGE_KEPT_MS, MESSAGES_MAX, MESSAGES_PER_ANSWER_MAX, MESSAGES_PER_NODE_MAX } from '../limits.ts';

interface Message {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

export class Mailboxes {
  private readonly clock: Clock;
  /** The oldest first. */
  private kept: (Message & { readonly atMs: number })[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Throws E_USAGE. */
  put(message: Message): void {
    const bytes = Buffer.byteLength(message.text);
    if (bytes > MESSAGE_TEXT_MAX_BYTES)
      throw new RsError('E_USAGE', `The message has ${bytes} bytes, more than ${MESSAGE_TEXT_MAX_BYTES}: shorten it`);
    if (message.id.length > MESSAGE_ID_MAX_CHARS)
      throw new RsError('E_USAGE', `The id of the message has more than ${MESSAGE_ID_MAX_CHARS} characters`);
    this.expire();
    const { id, from, to } = message;
    if (this.kept.some((one) => one.id === id && one.from === from && one.to === to)) return;
    this.makeRoom(from, (one) => one.to === to, MESSAGES_PER_NODE_MAX);
    this.makeRoom(from, () => true, MESSAGES_MAX);
    this.kept.push({ ...message, atMs: this.clock.monotonicMs() });
  }

  /** Returns the oldest messages to a node. Removes the messages with the ids `taken` first, because the node has received them. */
  take(to: string, taken: readonly string[]): Omit<Message, 'to'>[] {
    this.expire();
    const ids = new Set(taken);
    this.kept = this.kept.filter((one) => one.to !== to || !ids.has(one.id));
    const own = this.kept.filter((one) => one.to === to).slice(0, MESSAGES_PER_ANSWER_MAX);
    return own.map(({ id, from, text }) => ({ id, from, text }));
  }

  private expire(): void {
    const sinceMs = this.clock.monotonicMs() - MESSAGE_KEPT_MS;
    const fresh = this.kept.findIndex(({ atMs }) => atMs > sinceMs);
    this.kept.splice(0, fresh < 0 ? this.kept.length : fresh);
  }

  /**
   * Makes room for a new message of `from` among the messages that `isOne` selects. If `from` has some of them, and no sender would have
   * more than `from` with its new message, removes the oldest message of `from`. Otherwise, removes the oldest message of the sender with
   * the most.
   */
  private makeRoom(from: string, isOne: (one: Message) => boolean, max: number): void {
    const those = this.kept.filter(isOne);
    if (those.length < max) return;
    const counts = new Map<string, number>();
    for (const one of those) counts.set(one.from, (counts.get(one.from) ?? 0) + 1);
    const most = Math.max(...counts.values());
    const own = counts.get(from) ?? 0;
    const loser = own > 0 && own + 1 >= most ? from : those.find((one) => counts.get(one.from) === most)?.from;
    const oldest = those.find((one) => one.from === loser);
    this.kept.splice(
      this.kept.findIndex((one) => one === oldest),
      1,
    );
  }
}

export function messageHandlers(
  mailboxes: Mailboxes,
  volumes: { readonly served: readonly { readonly clients: readonly string[] | null }[] },
  server: { config(): { readonly clients: readonly { readonly name: string }[] } },
  { node }: Asker,
): HandlersOf<typeof SERVER_MESSAGE_METHODS> {
  const own = (): string => {
    if (node === null) throw new RsError('E_USAGE', 'Messages are between clients: use rsconfig send on one of them');
    return node;
  };
  return {
    'message-send': ({ to, id, text }) => {
      const from = own();
      const isKnown = server.config().clients.some(({ name }) => name === to);
      const meets = volumes.served.some((volume) => isFor(volume, from) && isFor(volume, to));
      if (!isKnown || !meets)
        throw new RsError('E_UNKNOWN_CLIENT', `No client ${quoteText(to)} shares a volume of this server with ${from}: check the name`, {
          name: to,
        });
      mailboxes.put({ id, from, to, text });
      return {};
    },
    'message-take': ({ taken }) => ({ messages: mailboxes.take(own(), taken) }),
  };
}
