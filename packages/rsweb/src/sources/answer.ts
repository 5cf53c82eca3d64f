// Converts the answer of another machine's rsweb to a picture. Pure. Invariant: the size and depth of the text are checked before the text
// is parsed, and the shape of the picture is checked before any other code reads the picture.

import { programVersion } from '@rsio/base/lib/version';
import { checkedPicture, PICTURE_FORMAT } from '../model/picture-shape.ts';
import type { Picture } from '../model/picture.ts';
import { jsonTrouble } from './json-scan.ts';

export type Answered =
  | { readonly kind: 'picture'; readonly picture: Picture }
  /** The answer cannot be used. `why`: the part of a sentence that says why. */
  | { readonly kind: 'nonsense'; readonly why: string }
  /** The answer is from another release, which may use another form. */
  | { readonly kind: 'release'; readonly release: string };

/**
 * Converts an answer. `id` and `name`: the id and name of the machine in the configuration of this rsweb. The host name is not used,
 * because several machines may have the same host name.
 */
export function answerIn(bytes: Buffer, id: string, name: string): Answered {
  const trouble = jsonTrouble(bytes);
  if (trouble !== null) return { kind: 'nonsense', why: trouble };
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return { kind: 'nonsense', why: 'it is no JSON' };
  }
  const { format, release } = (typeof value === 'object' && value !== null ? value : {}) as { format?: unknown; release?: unknown };
  const picture = checkedPicture(value);
  if (format === PICTURE_FORMAT && typeof picture !== 'string') return { kind: 'picture', picture: ofMachine(picture, id, name) };
  const theirs = typeof release === 'string' ? release.slice(0, 64) : 'unknown';
  if (theirs !== programVersion()) return { kind: 'release', release: theirs };
  return { kind: 'nonsense', why: typeof picture === 'string' ? picture : 'its format is another one' };
}

/** Replaces all machines of the picture with the one that has this id and name, because each source is one machine. */
function ofMachine(picture: Picture, id: string, name: string): Picture {
  const own = new Set(picture.machines.map((machine) => machine.id));
  const renamed = (machine: string | null): string | null => (machine !== null && own.has(machine) ? id : null);
  const programs = picture.machines.flatMap((machine) => machine.programs);
  return {
    ...picture,
    machines: [{ id, name, isLocal: false, state: 'answers', reason: null, programs }],
    servers: picture.servers.map((server) => ({ ...server, machine: renamed(server.machine) })),
    clients: picture.clients.map((client) => ({ ...client, machine: renamed(client.machine) })),
    events: picture.events.map((event) => ({ ...event, machine: id })),
  };
}
