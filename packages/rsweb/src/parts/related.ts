// Shows the findings and the events of one object. Pure. A finding belongs to the object to whose page it links. An event belongs to the
// object that it names.

import type { Finding, Picture } from '../model/picture.ts';
import { type Html, html } from '../markup/html.ts';
import { EVENTS_SHOWN } from '../limits.ts';
import { eventsTable } from './object-tables.ts';
import type { View } from '../markup/view.ts';

export function relatedFindings({ findings }: Picture, href: string): Finding[] {
  return findings.filter((finding) => finding.href === href);
}

/** Returns the events of an object, the newest first. `object`: the name of the object in events, such as `volume oracle@0`. */
export function relatedEvents({ events }: Picture, view: View, href: string, object: string): Html {
  const rows = events
    .filter((event) => event.href === href || event.object === object)
    .toReversed()
    .slice(0, EVENTS_SHOWN);
  return html`<section aria-labelledby="events-head"><h2 id="events-head">Events</h2>${eventsTable(rows, view)}</section>`;
}
