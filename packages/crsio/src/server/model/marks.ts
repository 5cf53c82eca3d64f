// A popup with a list of clients, in which the user marks the clients that may attach a volume. Pure. Invariant: either the entry for all
// clients is marked, or entries of single clients are marked, never both.

import type { ClientView } from '@rsio/api/views/views';
import type { Popup } from '../../machine/machine.ts';
import type { ServerCommand } from './state.ts';

const ALL = 'all';

interface Entry {
  readonly name: string;
  readonly detail: string;
  readonly isMarked: boolean;
}

/**
 * `marked`: the clients that are marked at first; null if all clients are marked; undefined if no client is marked. `take` gets the names
 * of the marked clients as a text such as `big-2,venus`.
 */
export function marksPopup(
  clients: readonly ClientView[],
  marked: readonly string[] | null | undefined,
  take: (names: string) => ServerCommand,
): Popup<ServerCommand> {
  // The settings of a volume may name clients that the section [clients] does not contain.
  const strangers = (marked ?? []).filter((name) => !clients.some((client) => client.name === name));
  const entries = [
    ...clients.map(({ name, state }) => ({ name, detail: state })),
    ...strangers.map((name) => ({ name, detail: 'not in [clients]' })),
  ].map((each) => ({ ...each, isMarked: marked?.includes(each.name) ?? false }));
  // The focus is on the first single client, not on the entry for all clients, because an empty field already means all clients.
  const focus = entries.length > 0 ? 1 : 0;
  return popupOf([{ name: ALL, detail: 'every client, also new ones', isMarked: marked === null }, ...entries], focus, take);
}

function popupOf(entries: readonly Entry[], focus: number, take: (names: string) => ServerCommand): Popup<ServerCommand> {
  const width = Math.max(...entries.map(({ name }) => name.length));
  const choices = entries.map(({ name, detail, isMarked }, index) => ({
    label: `[${isMarked ? 'x' : ' '}] ${name.padEnd(width)}  ${detail}`,
    command: take(namesOf(entries, index)),
  }));
  const mark = (index: number): Popup<ServerCommand> => popupOf(toggled(entries, index), index, take);
  return { title: 'Clients', text: 'Space marks a client, Enter takes the marked ones', choices, focus, mark };
}

function toggled(entries: readonly Entry[], index: number): readonly Entry[] {
  return entries.map((entry, at) => {
    if (at === index) return { ...entry, isMarked: !entry.isMarked };
    // Marking all clients unmarks the single clients, and marking a single client unmarks all clients.
    return index === 0 || at === 0 ? { ...entry, isMarked: false } : entry;
  });
}

/** Returns the names of the marked clients. If no client is marked, the client with the focus counts as marked. */
function namesOf(entries: readonly Entry[], focus: number): string {
  const marked = entries.filter(({ isMarked }) => isMarked);
  const taken = marked.length === 0 ? entries.slice(focus, focus + 1) : marked;
  return taken.map(({ name }) => name).join(',');
}
