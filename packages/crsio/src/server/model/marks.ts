// A list of clients in which the user marks those that may attach a volume, as a popup. Pure. Invariant: either all clients are marked as a
// whole, or single clients are.

import type { ClientView } from '@rsio/common/control/server/views';
import type { MarksTarget, ServerCommand } from './command.ts';
import type { Marks, ServerPopup } from './state.ts';

const ALL = 'all';

/** `marked`: the clients that are marked; null for all clients; undefined for none. */
export function marksOf(clients: readonly ClientView[], marked: readonly string[] | null | undefined, target: MarksTarget): Marks {
  // A volume may name clients that [clients] does not list.
  const strangers = (marked ?? []).filter((name) => !clients.some((client) => client.name === name));
  const entries = [
    ...clients.map(({ name, state }) => ({ name, detail: state })),
    ...strangers.map((name) => ({ name, detail: 'not in [clients]' })),
  ].map((each) => ({ ...each, isMarked: marked?.includes(each.name) ?? false }));
  return { target, entries: [{ name: ALL, detail: 'every client, also new ones', isMarked: marked === null }, ...entries] };
}

export function toggled(marks: Marks, index: number): Marks {
  const entries = marks.entries.map((entry, at) => {
    if (at === index) return { ...entry, isMarked: !entry.isMarked };
    // `all` excludes the single clients.
    return index === 0 || at === 0 ? { ...entry, isMarked: false } : entry;
  });
  return { ...marks, entries };
}

export function marksPopup(marks: Marks, focus: number): ServerPopup {
  const width = Math.max(...marks.entries.map(({ name }) => name.length));
  const choices = marks.entries.map(({ name, detail, isMarked }, index) => ({
    label: `[${isMarked ? 'x' : ' '}] ${name.padEnd(width)}  ${detail}`,
    command: { do: 'toggle', index } satisfies ServerCommand,
  }));
  return { title: 'Clients', text: 'Space marks a client, Enter takes the marked ones', choices, focus, marks };
}

/** The text of the marked clients, such as `big-2,venus`. If none is marked, the client with the focus counts as marked. */
export function markedText({ marks, focus }: Pick<ServerPopup, 'marks' | 'focus'>): string {
  const entries = marks?.entries ?? [];
  const marked = entries.filter(({ isMarked }) => isMarked);
  const taken = marked.length === 0 ? entries.slice(focus, focus + 1) : marked;
  return taken.map(({ name }) => name).join(',');
}
