// The page of events: the changes on all machines, the newest first. Pure.
// A filter by text is a form, which works without script.

import { framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { eventsTable } from '../parts/object-tables.ts';
import type { View } from '../markup/view.ts';
import type { Picture } from '../model/picture.ts';

export function eventsPage(picture: Picture, view: View): Html {
  const wanted = (view.query.get('text') ?? '').trim().toLowerCase();
  const rows = picture.events
    .toReversed()
    .filter(
      ({ object, reason, machine, to }) =>
        wanted === '' || [object, reason, machine, to].some((text) => text.toLowerCase().includes(wanted)),
    );
  const body = html`<form class="filter" method="get" action="${view.path}" role="search" aria-label="Events">
<label>Object, machine, state or reason <input type="search" name="text" value="${view.query.get('text') ?? ''}" autocomplete="off"></label> <button>Filter</button></form>
${eventsTable(rows, view)}`;
  return framed({ title: 'Events', body }, picture, view);
}
