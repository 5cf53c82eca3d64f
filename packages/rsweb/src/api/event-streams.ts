// The events of the daemons of this machine as streams of server-sent events. For each daemon, one request waits for events for all streams,
// and at most one other fetches what a new stream lacks. Neither is given up before its answer, because the daemon would go on with it.
// Invariants: a stream gets each event after its number that the daemon has kept once, in order, and is told how many older ones it has missed;
// streams are bounded, for each token and in all; a stream ends when its token is withdrawn, and when its peer does not read.

import type { CallOptions } from '@rsio/common/control/control-client';
import { EVENTS_KEPT, EVENTS_WAIT_MAX_MS } from '@rsio/common/control/limits';
import type { EventsParams, EventsResult } from '@rsio/common/control/method-table';
import type { Clock, Timer } from '@rsio/base/lib/clock';
import { toRsError } from '@rsio/base/lib/errors';
import { OneByOne } from '@rsio/base/structures/one-by-one';
import { problemOf } from '../http/problem.ts';
import type { EventSink, EventStream } from '../http/reply.ts';
import { API_STREAMS_MAX, API_STREAMS_PER_TOKEN_MAX, BACKLOG_MAX_BYTES, API_FOLLOW_RETRY_MS, HEARTBEAT_MS } from '../limits.ts';
import type { Watcher } from '../live/live.ts';
import type { Daemon } from './operations.ts';
import { Places } from './places.ts';

export type EventsCall = (daemon: Daemon, params: EventsParams, options: CallOptions) => Promise<EventsResult>;

interface Follow extends Watcher {
  readonly sink: EventSink;
  /** Number of the last event that the stream has, or need not have; null: the stream begins with the next event. */
  after: number | null;
}

export class EventStreams {
  private readonly clock: Clock;
  private readonly call: EventsCall;
  private readonly places = new Places(API_STREAMS_MAX, API_STREAMS_PER_TOKEN_MAX);
  private readonly followers = new Map<Daemon, Follower>();
  private heartbeat: Timer | null = null;

  constructor(clock: Clock, call: EventsCall) {
    this.clock = clock;
    this.call = call;
  }

  /** Returns a stream of the events after `after`. If the token or all tokens have too many streams, the stream ends at once. */
  stream(daemon: Daemon, watcher: Watcher, after: number | null): EventStream {
    return {
      open: (sink) => {
        const release = this.places.take(watcher.token);
        if (release === null) {
          sink.end();
          return () => {};
        }
        const follow: Follow = { ...watcher, sink, after };
        const follower = this.followerOf(daemon);
        sink.write(`retry: ${API_FOLLOW_RETRY_MS}\n\n`);
        follower.add(follow);
        this.beat();
        return () => {
          follower.remove(follow);
          release();
        };
      },
    };
  }

  /** True if the token may open another stream. */
  hasPlace(token: string): boolean {
    const release = this.places.take(token);
    release?.();
    return release !== null;
  }

  close(): void {
    this.heartbeat?.cancel();
    for (const follower of this.followers.values()) follower.close();
  }

  private followerOf(daemon: Daemon): Follower {
    const follower = this.followers.get(daemon) ?? new Follower(this.clock, (params, options) => this.call(daemon, params, options));
    this.followers.set(daemon, follower);
    return follower;
  }

  private beat(): void {
    this.heartbeat ??= this.clock.after(HEARTBEAT_MS, () => {
      this.heartbeat = null;
      const all = [...this.followers.values()];
      for (const follower of all) follower.beat();
      if (all.some(({ isFollowed }) => isFollowed)) this.beat();
    });
  }
}

/** Follows the events of one daemon while there are streams. */
class Follower {
  private readonly clock: Clock;
  private readonly call: (params: EventsParams, options: CallOptions) => Promise<EventsResult>;
  private readonly follows = new Set<Follow>();
  private readonly catchUps = new OneByOne();
  /** Streams that have come during this round, and lack events from before its question, or a number. The next round serves them like the others. */
  private fresh = new Set<Follow>();
  private isRunning = false;
  /** The number in the question that waits for an answer; null: there is no number yet. */
  private asked: number | null = null;
  /** Ends the requests when rsweb ends. */
  private readonly end = new AbortController();
  /** Text about why the daemon does not answer; null if it answers. */
  private trouble: string | null = null;

  constructor(clock: Clock, call: (params: EventsParams, options: CallOptions) => Promise<EventsResult>) {
    this.clock = clock;
    this.call = call;
  }

  get isFollowed(): boolean {
    return this.follows.size > 0;
  }

  add(follow: Follow): void {
    this.follows.add(follow);
    if (this.trouble !== null) follow.sink.write(this.trouble);
    if (!this.isRunning) return void this.run();
    if (follow.after !== null && this.asked !== null && follow.after >= this.asked) return;
    this.fresh.add(follow);
    void this.catchUps.run(() => this.catchUp(follow));
  }

  remove(follow: Follow): void {
    this.follows.delete(follow);
    this.fresh.delete(follow);
  }

  beat(): void {
    this.tell(() => ':\n\n');
  }

  close(): void {
    for (const { sink } of this.follows) sink.end();
    this.follows.clear();
    this.end.abort();
  }

  /** Fetches what a stream lacks, or the number that it begins with. If that fails, the next round serves it. Never rejects. */
  private async catchUp(follow: Follow): Promise<void> {
    const asked = follow.after;
    if (!this.fresh.has(follow)) return;
    const params = { count: asked === null ? 1 : EVENTS_KEPT, after: asked, waitMs: 0 };
    const result = await this.call(params, { clock: this.clock, signal: this.end.signal }).catch(() => null);
    // In another round meanwhile, it got them there.
    if (result !== null && this.fresh.has(follow)) this.tellOne(follow, () => textFor(follow, asked, result));
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    while (this.isFollowed) await this.round();
    this.isRunning = false;
  }

  /** Asks once, for the stream that has the fewest events. The answer has all events that the daemon keeps after that. Never rejects. */
  private async round(): Promise<void> {
    const afters = [...this.follows].map(({ after }) => after);
    const asked = afters.reduce((least, after) => (least === null || after === null ? null : Math.min(least, after)), afters[0] ?? null);
    const params = asked === null ? { count: 1, after: null, waitMs: 0 } : { count: EVENTS_KEPT, after: asked, waitMs: EVENTS_WAIT_MAX_MS };
    const { signal } = this.end;
    this.asked = asked;
    this.fresh = new Set();
    try {
      const result = await this.call(params, { clock: this.clock, signal });
      this.trouble = null;
      this.tell((follow) => (this.fresh.has(follow) ? '' : textFor(follow, asked, result)));
    } catch (thrown) {
      if (signal.aborted) return;
      const before = this.trouble;
      const trouble = `event: problem\ndata: ${JSON.stringify(problemOf(toRsError(thrown)))}\n\n`;
      this.trouble = trouble;
      if (trouble !== before) this.tell(() => trouble);
      await new Promise<void>((resolve) => void this.clock.after(API_FOLLOW_RETRY_MS, resolve));
    }
  }

  private tell(textOf: (follow: Follow) => string): void {
    for (const follow of [...this.follows]) this.tellOne(follow, textOf);
  }

  private tellOne(follow: Follow, textOf: (follow: Follow) => string): void {
    const { sink, isWelcome } = follow;
    const text = textOf(follow);
    if (isWelcome() && sink.backlogBytes <= BACKLOG_MAX_BYTES) {
      if (text !== '') sink.write(text);
      return;
    }
    this.remove(follow);
    sink.end();
  }
}

/** Returns what the stream gets of an answer, and moves the stream on. `asked`: the number in the question. */
function textFor(follow: Follow, asked: number | null, { events, missed, last }: EventsResult): string {
  const { after } = follow;
  // A stream without a number begins behind the last event; one that has come since the question waits for the next.
  if (asked === null || after === null) {
    if (asked === null) follow.after = after ?? last;
    return '';
  }
  follow.after = last;
  const isFromStart = after > last;
  const lost = isFromStart ? null : Math.max(0, missed - (after - asked));
  const gap = lost === 0 ? '' : `event: missed\ndata: ${JSON.stringify({ missed: lost })}\n\n`;
  const news = isFromStart ? [] : events.filter(({ number }) => number > after);
  return gap + news.map((one) => `id: ${one.number}\ndata: ${JSON.stringify(one)}\n\n`).join('');
}
