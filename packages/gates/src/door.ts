// The connections of hosts to all gates, and which of them ends when there is no room for one more: never one whose host has logged in. A
// flood of logins therefore costs the flood its own connections. Pure. Invariants: the bounds hold after each call; of the connections
// without a login, one from the address with the most of them ends, preferably one that has sent nothing, otherwise the one that has been
// silent for longest. Rules: G47.

import { counted } from '@rsio/base/lib/assert';
import { GATE_CONNECTIONS_MAX, GATE_UNPROVEN_EACH_MAX, GATE_UNPROVEN_MAX } from './limits.ts';

/** A connection at the door. Its owner calls `left` once, when nothing uses it any more. */
export class DoorPlace {
  /** Its address; null when its host has logged in, or when it has been ended. */
  source: string | null;
  isEvicted = false;
  readonly end: (why: string) => void;
  private readonly door: Door;

  constructor(door: Door, source: string, end: (why: string) => void) {
    this.door = door;
    this.source = source;
    this.end = end;
  }

  /** Something has come from the host. */
  heard(): void {
    if (this.source !== null) this.door.heard(this, this.source);
  }

  /** The host has logged in. */
  proven(): void {
    if (this.source !== null) this.door.forget(this, this.source);
  }

  left(): void {
    this.proven();
    this.door.left(this.isEvicted);
  }
}

/**
 * Connections without a login of one address: those that have sent nothing, and the others. In both sets, connections that were silent for
 * longest come first.
 */
interface Source {
  readonly silent: Set<DoorPlace>;
  readonly heard: Set<DoorPlace>;
}

export class Door {
  /** Number of all connections, including those that are being closed. */
  connections = 0;
  unproven = 0;
  /** Number of connections that were ended to make room for others. */
  evicted = 0;
  private readonly sources = new Map<string, Source>();
  /** Number of ended connections for which `left` has not been called yet. */
  private ending = 0;

  /** Lets a connection in, if need be in the place of another one. Returns null if all places belong to hosts that have logged in. */
  enter(source: string, end: (why: string) => void): DoorPlace | null {
    const own = this.sources.get(source);
    if (own !== undefined && sizeOf(own) >= GATE_UNPROVEN_EACH_MAX) this.evict(own);
    if (this.unproven >= GATE_UNPROVEN_MAX || this.open >= GATE_CONNECTIONS_MAX) this.evict(this.largest());
    if (this.open >= GATE_CONNECTIONS_MAX) return null;
    const place = new DoorPlace(this, source, end);
    const entry = this.sources.get(source) ?? { silent: new Set(), heard: new Set() };
    this.sources.set(source, entry);
    entry.silent.add(place);
    this.connections++;
    this.unproven++;
    return place;
  }

  // --- Called by places.

  heard(place: DoorPlace, source: string): void {
    const entry = this.sources.get(source);
    entry?.silent.delete(place);
    entry?.heard.delete(place);
    entry?.heard.add(place);
  }

  forget(place: DoorPlace, source: string): void {
    const entry = this.sources.get(source);
    if (entry === undefined) return;
    entry.silent.delete(place);
    entry.heard.delete(place);
    if (sizeOf(entry) === 0) this.sources.delete(source);
    place.source = null;
    this.unproven = counted(this.unproven - 1, 'connections without a login');
  }

  left(wasEvicted: boolean): void {
    this.connections = counted(this.connections - 1, 'connections');
    if (wasEvicted) this.ending = counted(this.ending - 1, 'connections that end');
  }

  /** Number of connections with open sockets; the socket of an evicted connection is closed at once. */
  private get open(): number {
    return this.connections - this.ending;
  }

  private largest(): Source | undefined {
    let most: Source | undefined;
    for (const one of this.sources.values()) if (most === undefined || sizeOf(one) > sizeOf(most)) most = one;
    return most;
  }

  private evict(source: Source | undefined): void {
    const [place] = source === undefined ? [] : source.silent.size > 0 ? source.silent : source.heard;
    if (place === undefined || place.source === null) return;
    this.forget(place, place.source);
    place.isEvicted = true;
    this.ending++;
    this.evicted++;
    place.end('another host needed its place, and it had not logged in');
  }
}

function sizeOf({ silent, heard }: Source): number {
  return silent.size + heard.size;
}
