// The live stream: each browser gets the picture once, and then what changes. Invariants: a text is made once for all browsers; a browser that
// takes nothing is left out, later gets the whole picture, and is disconnected in the end; the stream ends with the login; no token takes the
// streams of all.

import type { Clock, Timer } from '@rsio/common/lib/clock';
import type { EventSink, EventStream } from '../http/reply.ts';
import type { Picture } from '../model/picture.ts';
import { type Change, changesBetween, type Texts, textsOf } from './differences.ts';
import { BACKLOG_MAX_BYTES, HEARTBEAT_MS, STREAMS_MAX, STREAMS_PER_TOKEN_MAX, STUCK_MS, WHOLE_SHARE } from './limits.ts';

export interface Watcher {
  readonly token: string;
  /** False once the login has ended. Counts as a use of it. */
  readonly isWelcome: () => boolean;
}

interface Stream extends Watcher {
  readonly sink: EventSink;
  /** It has missed changes, so that it needs the whole picture. */
  isBehind: boolean;
  /** When its backlog was small last. */
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

  /** A stream for one browser; null if its token has too many. If all have too many, the token with the most loses its oldest one. */
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

  /** `whole`: what a stream gets that has missed something; null: it goes on missing it. */
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
      // Whoever is behind gets nothing, and is found out by its backlog.
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

/** `json` is one line: JSON has no line ends outside of texts, and escapes those within. */
function event(name: string, json: string): string {
  return `event: ${name}\ndata: ${json}\n\n`;
}
