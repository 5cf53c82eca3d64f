// Finds the parts of a pause in the logs of the servers: silence, fence, opening, volumes, and the client's own time. The log lines have
// the wall-clock times of one machine. Pure, except that it reads the logs.

import { readFileSync } from 'node:fs';
import type { Gap } from '../support/drills/gaps.ts';
import type { Host } from '../support/hosts/host.ts';

export interface Message {
  readonly time: number;
  readonly msg: string;
}

/** The parts of a pause, in ms. */
export interface Parts {
  /** The time until the last take-over began: the silence, and earlier take-overs that failed. */
  readonly silence: number;
  readonly fence: number;
  readonly mount: number;
  /** From the mount of the pool to the end of the pause: the server opens the volumes, and the client continues. */
  readonly client: number;
}

export const PARTS = ['silence', 'fence', 'mount', 'client'] as const satisfies readonly (keyof Parts)[];

/** Returns the messages of the log of rssrv, in order. Omits a line that is not complete yet. */
export function messagesOf(host: Host): Message[] {
  let text = '';
  try {
    text = readFileSync(host.rssrvPaths.logFile, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').slice(0, -1).flatMap(parsed);
}

/**
 * Returns the parts of a pause of a client of the pool, which add up to the pause; null if the pause ended before the pool was taken.
 * `generation`: the generation under which `taker` serves the pool now. Times are wall-clock times in ms.
 */
export function partsOf(taker: Host, pool: string, generation: number, { fromMs, toMs }: Gap): Parts | null {
  const messages = messagesOf(taker);
  const at = (text: string): number | undefined =>
    messages.findLast(({ msg }) => msg === `Pool ${pool} is ${text}, generation ${generation}`)?.time;
  const [begunMs, ownedMs] = [at('being taken'), at('owned by this server')];
  if (begunMs === undefined || ownedMs === undefined || ownedMs > toMs) return null;
  const isFence = ({ time, msg }: Message): boolean =>
    time >= begunMs && time <= ownedMs && msg.startsWith(`Pool ${pool}: `) && msg.endsWith(', is fenced');
  const fencedMs = messages.findLast(isFence)?.time ?? begunMs;
  const [begun, fenced, owned] = [begunMs, fencedMs, ownedMs].map((time) => Math.max(time, fromMs)) as [number, number, number];
  return { silence: begun - fromMs, fence: fenced - begun, mount: owned - fenced, client: toMs - owned };
}

function parsed(line: string): Message[] {
  try {
    const { time, msg } = JSON.parse(line) as Partial<Message>;
    return typeof time === 'number' && typeof msg === 'string' ? [{ time, msg }] : [];
  } catch {
    return [];
  }
}
