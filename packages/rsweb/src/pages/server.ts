// The page of a server: its interfaces, pools, volumes and paths. Pure.
// The tables are in parts/.

import { factsPart, loadTiles } from '../markup/facts.ts';
import { sinceText } from '../markup/figures.ts';
import { findingsPart } from '../parts/findings.ts';
import { framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { pathsTable, poolsTable } from '../parts/object-tables.ts';
import { serverOrders } from '../parts/orders.ts';
import { loadPlots } from '../parts/plot.ts';
import { relatedEvents, relatedFindings } from '../parts/related.ts';
import { stateBadge } from '../markup/state.ts';
import { tableOf } from '../markup/table.ts';
import { replicationsTable, worksTable } from '../parts/works-table.ts';
import type { View } from '../markup/view.ts';
import { serverViews } from './operations.ts';
import { volumesTable } from '../parts/volumes-table.ts';
import { hrefOf } from '../model/ids.ts';
import type { Picture, Server } from '../model/picture.ts';

export function serverPage(picture: Picture, view: View, id: string): Html | null {
  const server = picture.servers.find((one) => one.id === id);
  if (server === undefined) return null;
  const href = hrefOf('server', id);
  const [works, replications] = [picture.works.filter((one) => one.server === id), picture.replications.filter((one) => one.server === id)];
  // Only the rsweb of its machine, or one that has that as a source, knows everything about a server.
  const unknown = server.machine === null ? 'Not known here: see the rsweb of this server.' : undefined;
  const body = html`${findingsPart(relatedFindings(picture, href), view.nowMs, null)}
${server.reason !== null && html`<p class="reason bad">${server.reason}</p>`}
<p><a href="/impact?server=${encodeURIComponent(id)}">What stops if this server is off?</a>${serverViews(server, picture, view)}</p>
${loadTiles(server.load)}
${loadPlots(`server:${id}`, view)}
<section aria-labelledby="pools-head"><h2 id="pools-head">Pools</h2>${poolsTable(
    picture.pools.filter((pool) => pool.server === id),
    view,
    unknown,
  )}</section>
${works.length > 0 && html`<section aria-labelledby="works-head"><h2 id="works-head">Work in progress</h2>${worksTable(works, picture, view)}</section>`}
${replications.length > 0 && html`<section aria-labelledby="replications-head"><h2 id="replications-head">Replications</h2>${replicationsTable(replications, picture, view)}</section>`}
<section aria-labelledby="interfaces-head"><h2 id="interfaces-head">Interfaces</h2>${interfacesTable(server, view)}</section>
<section aria-labelledby="volumes-head"><h2 id="volumes-head">Volumes</h2>${volumesTable(
    picture.volumes.filter((volume) => volume.server === id),
    view,
    unknown,
  )}</section>
<section aria-labelledby="paths-head"><h2 id="paths-head">Paths</h2>${pathsTable(
    picture.paths.filter((path) => path.server === id),
    view,
  )}</section>
<section aria-labelledby="facts-head"><h2 id="facts-head">Identity</h2>${factsPart([
    ['Namespace', server.namespace || 'not known here'],
    ['Server id', server.serverid],
    ['Version', server.version ?? 'not known here'],
    ['Running for', sinceText(server.startedMs, view.nowMs)],
  ])}</section>
${serverOrders(server, picture, view)}
${relatedEvents(picture, view, href, `server ${server.name}`)}`;
  return framed({ title: `Server ${server.name}`, heading: html`Server ${server.name} ${stateBadge(server.state)}`, body }, picture, view);
}

function interfacesTable({ interfaces }: Server, view: View): Html {
  return tableOf(
    {
      id: 'interfaces',
      caption: 'Interfaces',
      columns: [
        { key: 'name', title: 'Interface', cell: ({ name }) => name },
        { key: 'address', title: 'Address', cell: ({ address, port }) => `${address} port ${port}` },
        { key: 'state', title: 'State', cell: ({ state }) => stateBadge(state) },
        { key: 'reason', title: 'Reason', cell: ({ reason }) => reason ?? '-' },
      ],
      rows: interfaces,
      rowId: ({ name }) => name,
      none: 'No interface is known.',
    },
    view,
  );
}
