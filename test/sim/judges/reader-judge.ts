// Judges clients that read snapshots of one server by name: reads return the content that the snapshot had when its creation was answered
// (N1); no snapshot is removed while a client has it open (N2); a client never continues with another snapshot (N3); and the server lists
// the older snapshots of an open one (N4). Invariant: the judge observes and changes nothing.

const BREACHES_MAX = 20;

/** A snapshot whose creation was answered. `createdMs`: time at which the snapshot was created, by the clock of the server. */
export interface KnownSnapshot {
  readonly id: string;
  readonly name: string;
  readonly volumeId: string;
  readonly createdMs: number;
  readonly content: Buffer;
}

/** The snapshots that existed when a client opened one of them. */
export type Standing = ReadonlySet<string>;

export class ReaderJudge {
  readonly breaches: string[] = [];
  compared = 0;
  private readonly known = new Map<string, KnownSnapshot>();
  private readonly there = new Set<string>();
  /** Snapshots whose removal was answered. */
  private readonly removed = new Set<string>();
  /** For each reader: the id of the snapshot that it has open. */
  private readonly open = new Map<string, string>();
  private readonly server: string;
  private readonly nowMs: () => number;

  constructor(server: string, nowMs: () => number) {
    this.server = server;
    this.nowMs = nowMs;
  }

  find(id: string): KnownSnapshot | null {
    return this.known.get(id) ?? null;
  }

  made(one: KnownSnapshot): void {
    this.known.set(one.id, one);
    this.there.add(one.id);
  }

  /** The removal of the snapshot was requested. Until the request is answered, the snapshot may exist or not. */
  leaves(id: string): void {
    this.there.delete(id);
  }

  /** The removal of the snapshot was refused. */
  stays(id: string): void {
    this.there.add(id);
  }

  /** The removal of the snapshot was answered. */
  isRemoved(id: string): void {
    this.removed.add(id);
    for (const [reader, has] of this.open) if (has === id) this.breach(`N2: ${this.text(id)} is removed while ${reader} has it open`);
  }

  /** A client has opened a snapshot. `before`: id of the client's earlier snapshot if the client only reconnects. */
  opened(reader: string, id: string, before: string | null): void {
    this.open.set(reader, id);
    if (this.removed.has(id)) this.breach(`N2: ${reader} has opened ${this.text(id)}, whose removal was answered`);
    if (before !== null && before !== id) this.breach(`N3: ${reader} had ${this.text(before)}, and goes on with ${this.text(id)}`);
  }

  /** The reader has closed its snapshot, or has ended. */
  left(reader: string): void {
    this.open.delete(reader);
  }

  standing(): Standing {
    return new Set(this.there);
  }

  /**
   * `told`: the older snapshots that the server has listed, the youngest first; empty if the server listed none. `before`: the snapshots
   * that existed when the client asked for the list.
   */
  lists(reader: string, id: string, told: readonly { readonly name: string; readonly id: string }[], before: Standing): void {
    const own = this.known.get(id);
    if (own === undefined || told.length === 0) return;
    let youngest = own;
    for (const one of told) {
      const known = this.known.get(one.id);
      if (known === undefined) return;
      const isOlder = known.id !== id && known.volumeId === own.volumeId && known.createdMs <= youngest.createdMs;
      if (!isOlder || known.name !== one.name)
        this.breach(`N4: ${reader} is told that ${one.name} (${one.id}) is older than ${youngest.name} of ${own.volumeId}`);
      youngest = known;
    }
    for (const known of this.known.values()) {
      const isOwed = known.volumeId === own.volumeId && known.createdMs < own.createdMs && before.has(known.id) && this.there.has(known.id);
      if (isOwed && !told.some((one) => one.id === known.id)) this.breach(`N4: ${reader} is not told that ${known.name} is older`);
    }
  }

  /** The reader has read these bytes of its open snapshot. */
  reads(reader: string, id: string, positionBytes: number, bytes: Buffer): void {
    const content = this.known.get(id)?.content;
    if (content === undefined) return;
    this.compared++;
    if (content.compare(bytes, 0, bytes.length, positionBytes, positionBytes + bytes.length) === 0) return;
    this.breach(`N1: ${reader} reads in ${this.text(id)} at ${positionBytes} what was not there at its moment`);
  }

  breach(sentence: string): void {
    if (this.breaches.length < BREACHES_MAX) this.breaches.push(`${this.server} at ${this.nowMs().toFixed(1)} ms: ${sentence}`);
  }

  private text(id: string): string {
    return `${this.known.get(id)?.name ?? 'a snapshot'} (${id})`;
  }
}
