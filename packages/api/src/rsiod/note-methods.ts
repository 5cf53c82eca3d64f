// The methods of rsiod about notes at volumes, and about nodes that servers see. rsapp, which runs applications,
// uses them; rsiod/src/notes executes them.

import { clientMethod } from './client-method.ts';
import { CONTROL_TIMEOUT_MS } from '@rsio/common/control/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, number, object, orNull, text } from '@rsio/base/lib/shape';

/** Maximum number of nodes in one request of `nodes-seen`. */
export const NODES_ASKED_MAX = 64;

const VOLUME_NOTE = object({
  volume: text('Such as osl:oracle@0'),
  id: text(),
  node: text('Name of this client on its servers'),
  isMirror: flag(),
  isSure: flag('Enough servers have answered: one that offers the volume, or most voters of a mirror'),
  holder: orNull(text('Node that holds the volume'), 'null: none does; only if isSure'),
  note: orNull(text(), 'null: none was written'),
  why: orNull(text('What is missing'), 'null: nothing'),
});

const NODES_SEEN = object({
  nodes: list(
    object({
      node: text(),
      silentMs: number('For how long all servers of the volume that answer, or most voters of a mirror, have had no path of it; else 0'),
    }),
  ),
  answered: count('How many servers have answered'),
});

const volume: Param<string> = { shape: filledText(), what: 'the name of a volume' };

export const NOTE_METHODS = {
  'volume-note': clientMethod({
    help: 'The note at a volume, which its holder has written, and the holder; with fresh, rsiod asks the servers for their lists first',
    effect: 'reads',
    params: { volume, fresh: flagParam },
    result: VOLUME_NOTE,
    waitMs: CONTROL_TIMEOUT_MS,
    command: { calledBy: 'rsapp' },
  }),
  'volume-note-set': clientMethod({
    help: 'Replaces the note at a volume that is attached here; it is durable when the answer arrives',
    effect: 'operates',
    params: { volume, note: { shape: filledText(), what: 'text of printable ASCII characters, at most 4096' } },
    result: object({}),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { calledBy: 'rsapp' },
  }),
  'nodes-seen': clientMethod({
    help: 'For how long the servers of a volume have had no path of other nodes',
    effect: 'reads',
    params: { volume, nodes: { shape: list(filledText()), what: `a list of at most ${NODES_ASKED_MAX} names` } },
    result: NODES_SEEN,
    waitMs: CONTROL_TIMEOUT_MS,
    command: { calledBy: 'rsapp' },
  }),
} as const;
