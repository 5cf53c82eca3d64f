// The live stream: each browser gets the picture once and then the changes. Invariants: the text of a change is made once for all browsers.
// A browser with a large backlog gets no changes. When the browser has read the backlog, it gets the whole picture. If the backlog stays
// large for STUCK_MS, the browser is disconnected. A stream ends when its login ends. No token can use up the streams of other tokens.

import type { Clock, Timer } from '@rsio/base/lib/clock';
import type { EventSink, EventStream } from '../http/reply.ts';
import type { ListName, Picture } from '../model/picture.ts';
import { BACKLOG_MAX_BYTES, HEARTBEAT_MS, STREAMS_MAX, STREAMS_PER_TOKEN_MAX, STUCK_MS, WHOLE_SHARE } from '../limits.ts';

// Finds the changes between two pictures, element by element. Pure.
// Invariant: the old picture with all changes applied equals the new one.
/** A changed element of a list; `value` is null if the element was removed. */
interface Change {
  readonly path: readonly [ListName, string];
  readonly value: unknown;
}

const LISTS: readonly ListName[] = [
  'machines',
  'servers',
  'clients',
  'paths',
  'volumes',
  'pools',
  'mirrors',
  'applications',
  'works',
  'replications',
  'gates',
  'events',
];

/** For each list, a map. Key: id of an element. Value: the JSON text of the element, which is compared with the next picture. */
type Texts = ReadonlyMap<ListName, ReadonlyMap<string, string>>;

function textsOf(picture: Picture): Texts {
  return new Map(LISTS.map((list) => [list, new Map(picture[list].map((element) => [element.id, JSON.stringify(element)]))]));
}

/**
 * Returns the changes of all lists except the findings. The order of the findings matters, so a page always gets the whole list of
 * findings.
 */
function changesBetween(before: Texts, after: Texts, picture: Picture): Change[] {
  return LISTS.flatMap((list) => {
    const [was, is] = [before.get(list), after.get(list)];
    const changed = picture[list]
      .filter(({ id }) => was?.get(id) !== is?.get(id))
      .map((value): Change => ({ path: [list, value.id], value }));
    const gone = [...(was?.keys() ?? [])].filter((id) => is?.has(id) !== true).map((id): Change => ({ path: [list, id], value: null }));
    return [...changed, ...gone];
  });
}

export interface Watcher {
  readonly token: string;
  /** Returns false after the login has ended. Each call counts as a use of the login, so an open page keeps the login alive. */
  readonly isWelcome: () => boolean;
}

interface Stream extends Watcher {
  readonly sink: EventSink;
  /** True if the stream has missed changes and needs the whole picture. */
  isBehind: boolean;
  /** Monotonic time at which the stream's backlog was last at most BACKLOG_MAX_BYTES. */
  freeMs: number;
}

export class Live {
  private readonly clock: Clock;
  private readonly streams = new Set<Stream>();
  private picture: Picture | null = null;
  private texts: Texts = new Map();
  private findings = '';
  private heartbeat: Timer | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get isWatched(): boolean {
    return this.streams.size > 0;
  }

  /**
   * Returns a stream for one browser; null if the browser's token already has too many streams. If STREAMS_MAX is reached, the token with
   * the most streams loses its oldest stream.
   */
  stream(watcher: Watcher): EventStream | null {
    const counts = new Map<string, number>();
    for (const { token } of this.streams) counts.set(token, (counts.get(token) ?? 0) + 1);
    const own = counts.get(watcher.token) ?? 0;
    if (own >= STREAMS_PER_TOKEN_MAX) return null;
    if (this.streams.size >= STREAMS_MAX) {
      const most = Math.max(...counts.values());
      const oldest = [...this.streams].find(({ token }) => counts.get(token) === most);
      if (own + 1 >= most || oldest === undefined) return null;
      this.drop(oldest);
    }
    return {
      open: (sink) => {
        const stream: Stream = { ...watcher, sink, isBehind: true, freeMs: this.clock.monotonicMs() };
        this.streams.add(stream);
        sink.write('retry: 2000\n\n');
        if (this.picture !== null) this.send(stream, '', this.wholeOf(this.picture));
        this.beat();
        return () => void this.streams.delete(stream);
      },
    };
  }

  show(picture: Picture): void {
    this.picture = picture;
    if (this.streams.size === 0) {
      this.texts = new Map();
      return;
    }
    const texts = textsOf(picture);
    const changes = changesBetween(this.texts, texts, picture);
    const findings = JSON.stringify(picture.findings);
    const elements = [...texts.values()].reduce((sum, list) => sum + list.size, 0);
    const isWhole = this.texts.size === 0 || changes.length > elements * WHOLE_SHARE;
    this.texts = texts;
    let whole: string | null = null;
    const wholeText = (): string => (whole ??= this.wholeOf(picture));
    const text = isWhole
      ? wholeText()
      : changesText(picture.takenMs, changes) + (findings === this.findings ? '' : event('findings', findings));
    this.findings = findings;
    for (const stream of [...this.streams]) this.send(stream, text, stream.isBehind ? wholeText() : text);
  }

  close(): void {
    this.heartbeat?.cancel();
    for (const { sink } of this.streams) sink.end();
    this.streams.clear();
  }

  /** `whole`: the text for a stream that has missed changes; null if that stream must wait for the next picture. */
  private send(stream: Stream, text: string, whole: string | null): void {
    const nowMs = this.clock.monotonicMs();
    if (!stream.isWelcome()) {
      stream.sink.write(event('logout', '{}'));
      this.drop(stream);
      return;
    }
    if (stream.sink.backlogBytes > BACKLOG_MAX_BYTES) {
      stream.isBehind = true;
      if (nowMs - stream.freeMs > STUCK_MS) this.drop(stream);
      return;
    }
    stream.freeMs = nowMs;
    stream.sink.write(stream.isBehind && whole !== null ? whole : text);
    if (whole !== null) stream.isBehind = false;
  }

  private drop(stream: Stream): void {
    this.streams.delete(stream);
    stream.sink.end();
  }

  private beat(): void {
    this.heartbeat ??= this.clock.after(HEARTBEAT_MS, () => {
      this.heartbeat = null;
      // A stream with a large backlog gets no heartbeat; `send` closes such a stream after STUCK_MS.
      for (const stream of [...this.streams]) this.send(stream, ':\n\n', null);
      if (this.streams.size > 0) this.beat();
    });
  }

  private wholeOf(picture: Picture): string {
    return event('picture', JSON.stringify(picture));
  }
}

function changesText(takenMs: number, changes: readonly Change[]): string {
  return event('changes', JSON.stringify({ takenMs, changes }));
}

/** `json` is a single line, because JSON.stringify escapes line ends in texts. */
function event(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`;
}
