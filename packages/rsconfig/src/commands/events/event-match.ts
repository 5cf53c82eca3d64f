// What `wait-event` waits for, and the position from which it goes on. Pure. Invariant: a position has a part for each source, because each
// of them has numbers of its own.

import type { EventView } from '@rsio/common/control/method-table';
import type { MessageView } from '@rsio/api/rsiod/message-methods';
import { escapeControls } from '@rsio/base/lib/printable';
import { parseWhole, quoteText } from '@rsio/base/lib/units';
import { formatTime } from '@rsio/base/log/log-line';
import { usageError } from '../../cli/context.ts';
import { stateName } from '../../output/format.ts';

export const SOURCES = ['rsiod', 'rsapp', 'message'] as const;
export type Source = (typeof SOURCES)[number];

/** Number of the last event or message that was seen; null: nothing of this source was seen yet. */
export type Position = Record<Source, number | null>;

export interface Wanted {
  readonly kind: string | null;
  readonly about: string | null;
  readonly state: string | null;
  readonly from: string | null;
}

export type Found =
  | { readonly source: 'rsiod' | 'rsapp'; readonly event: EventView; readonly message: null }
  | { readonly source: 'message'; readonly event: null; readonly message: MessageView };

/** Printed for a source of which nothing was seen. It is no dash, because a position that begins with a dash would look like an option. */
const UNSEEN = 'x';
/** Kinds of events that only rsapp has. */
const APP_KINDS: readonly string[] = ['application', 'node'];

export function printPosition(position: Position): string {
  return SOURCES.map((source) => position[source] ?? UNSEEN).join('.');
}

/** Throws E_USAGE. */
export function parsePosition(text: string): Position {
  const parts = text.split('.');
  const numbers = parts.map((part) => (part === UNSEEN ? null : parseWhole(part)));
  const [rsiod, rsapp, message] = numbers;
  if (parts.length !== SOURCES.length || rsiod === undefined || rsapp === undefined || message === undefined)
    throw usageError(`Wrong --after ${quoteText(text)}: give a position that wait-event has printed`);
  return { rsiod, rsapp, message };
}

/** The sources that can have what is wanted. Throws E_USAGE if none can. */
export function sourcesFor({ kind, state, from }: Wanted): readonly Source[] {
  const isMessage = kind === 'message' || from !== null;
  if (isMessage && ((kind ?? 'message') !== 'message' || state !== null))
    throw usageError('Messages have no --state, and --from is only for messages: leave one out');
  if (isMessage) return ['message'];
  if (kind !== null && APP_KINDS.includes(kind)) return ['rsapp'];
  return kind === null && state === null ? SOURCES : ['rsiod', 'rsapp'];
}

export function isWanted({ kind, about, state, from }: Wanted, { event, message }: Found): boolean {
  if (event === null) return (from ?? message.from) === message.from && (about ?? message.from) === message.from;
  const [own = '', ...names] = event.object.split(' ');
  if (kind !== null && kind !== own) return false;
  if (about !== null && !names.some((name) => isNamed(about, name)) && names.join(' ') !== about) return false;
  return state === null || [event.to, stateName(event.to)].some((to) => to === state || to.startsWith(`${state} on `));
}

/** A volume may be named without its namespace, and without its universe. */
function isNamed(about: string, name: string): boolean {
  const short = name.replace(/^[^:@]+:/, '');
  return [name, short, name.replace(/@\d+$/, ''), short.replace(/@\d+$/, '')].includes(about);
}

/** The position comes first, so that a shell can read it. */
export function lineOf({ event, message }: Found, position: Position): string {
  const what =
    event === null
      ? `message ${message.from}: ${message.text}`
      : `${event.object}: ${stateName(event.from)} -> ${stateName(event.to)}${event.reason === '' ? '' : `: ${event.reason}`}`;
  return `${printPosition(position)} ${escapeControls(`${formatTime((event ?? message).atMs)} ${what}`)}\n`;
}
