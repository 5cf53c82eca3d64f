// The page of a client: its paths, volumes, applications and load. Pure.
// The tables are in parts/.

import { factsPart, loadTiles } from '../markup/facts.ts';
import { sinceText, timeText } from '../markup/figures.ts';
import { findingsPart } from '../parts/findings.ts';
import { framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { applicationsTable } from '../parts/applications-table.ts';
import { clientState, pathsTable } from '../parts/object-tables.ts';
import { clientOrders } from '../parts/orders.ts';
import { loadPlots } from '../parts/plot.ts';
import { relatedEvents, relatedFindings } from '../parts/related.ts';
import { stateBadge } from '../markup/state.ts';
import { gatesTable, worksTable } from '../parts/works-table.ts';
import type { View } from '../markup/view.ts';
import { clientViews } from './operations.ts';
import { volumesTable } from '../parts/volumes-table.ts';
import { shownApplications } from '../model/applications.ts';
import { hrefOf } from '../model/ids.ts';
import type { Picture } from '../model/picture.ts';

export function clientPage(picture: Picture, view: View, id: string): Html | null {
  const client = picture.clients.find((one) => one.id === id);
  if (client === undefined) return null;
  const own = new Set(client.volumes);
  const applications = shownApplications(picture).filter(({ on, nodes, reporter }) => on === id || reporter === id || nodes.includes(id));
  const [works, gates] = [picture.works.filter((one) => one.client === id), picture.gates.filter((one) => one.client === id)];
  const href = hrefOf('client', id);
  const body = html`${findingsPart(relatedFindings(picture, href), view.nowMs, null)}
<p><a href="/impact?client=${encodeURIComponent(id)}">What stops if this client is off?</a>${clientViews(client, picture, view)}</p>
${loadTiles(client.load)}
<section aria-labelledby="paths-head"><h2 id="paths-head">Paths</h2>${pathsTable(
    picture.paths.filter((path) => path.client === id),
    view,
  )}</section>
<section aria-labelledby="volumes-head"><h2 id="volumes-head">Volumes</h2>${volumesTable(
    picture.volumes.filter((volume) => own.has(volume.id)),
    view,
  )}</section>
${applications.length > 0 && html`<section aria-labelledby="applications-head"><h2 id="applications-head">Applications</h2>${applicationsTable(applications, view)}</section>`}
${works.length > 0 && html`<section aria-labelledby="works-head"><h2 id="works-head">Work in progress</h2>${worksTable(works, picture, view)}</section>`}
${gates.length > 0 && html`<section aria-labelledby="gates-head"><h2 id="gates-head">Gates</h2>${gatesTable(gates, view)}</section>`}
${loadPlots(`client:${id}`, view)}
<section aria-labelledby="facts-head"><h2 id="facts-head">Connection and rights</h2>${factsPart([
    ['Address', client.address ?? '-'],
    ['Connected for', sinceText(client.sinceMs, view.nowMs)],
    ['Version', client.version ?? 'not known here'],
    ['Rights', client.role ?? 'not known here'],
    ['Fenced', client.fencedMs === null ? 'no' : `since ${timeText(client.fencedMs)}`],
  ])}</section>
${clientOrders(client, picture, view)}
${relatedEvents(picture, view, href, `client ${client.name}`)}`;
  return framed(
    { title: `Client ${client.name}`, heading: html`Client ${client.name} ${stateBadge(clientState(client))}`, body },
    picture,
    view,
  );
}
