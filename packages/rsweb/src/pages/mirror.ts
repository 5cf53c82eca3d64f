// The page of a mirror: its replicas and voters. Pure.
// docs/PROTOCOL.md and docs/adr explain mirrors.

import { factsPart } from '../markup/facts.ts';
import { sizeText, speedText } from '../markup/figures.ts';
import { findingsPart } from '../parts/findings.ts';
import { framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { linkTo, mirrorState } from '../parts/object-tables.ts';
import { relatedEvents, relatedFindings } from '../parts/related.ts';
import { stateBadge } from '../markup/state.ts';
import { tableOf } from '../markup/table.ts';
import type { View } from '../markup/view.ts';
import { hrefOf } from '../model/ids.ts';
import type { Mirror, Picture } from '../model/picture.ts';

export function mirrorPage(picture: Picture, view: View, id: string): Html | null {
  const mirror = picture.mirrors.find((one) => one.id === id);
  if (mirror === undefined) return null;
  const name = `${mirror.name}@${mirror.universe}`;
  const href = hrefOf('mirror', id);
  const answering = mirror.voters.filter(({ answers }) => answers).length;
  const body = html`${findingsPart(relatedFindings(picture, href), view.nowMs, null)}
<section aria-labelledby="replicas-head"><h2 id="replicas-head">Replicas</h2>${replicasTable(mirror, view)}</section>
<section aria-labelledby="voters-head"><h2 id="voters-head">Voters</h2><p>${answering} of ${mirror.voters.length} answer. A majority needs ${mirror.majority}.</p>${votersTable(mirror, view)}</section>
<section aria-labelledby="facts-head"><h2 id="facts-head">Identity</h2>${factsPart([
    ['Held by', mirror.holder === null ? 'no client' : linkTo('client', mirror.holder)],
    ['Size', sizeText(mirror.sizeBytes)],
    ['Namespace', mirror.namespace],
    ['Id', html`<code>${id}</code>`],
  ])}</section>
${relatedEvents(picture, view, href, `mirror ${name}`)}`;
  return framed({ title: `Mirror ${name}`, heading: html`Mirror ${name} ${stateBadge(mirrorState(mirror))}`, body }, picture, view);
}

function replicasTable({ replicas }: Mirror, view: View): Html {
  return tableOf(
    {
      id: 'replicas',
      caption: 'Replicas',
      columns: [
        {
          key: 'server',
          title: 'Server',
          cell: ({ server, serverName }) => (server === null ? serverName : linkTo('server', server, serverName)),
        },
        { key: 'state', title: 'State', cell: ({ state }) => stateBadge(state) },
        { key: 'reach', title: 'Reachable', cell: ({ isReachable }) => (isReachable ? 'yes' : stateBadge('down')) },
        { key: 'volume', title: 'Volume', cell: ({ volume }) => (volume === null ? '-' : linkTo('volume', volume, 'page of the volume')) },
        { key: 'left', title: 'Left to copy', isNumber: true, cell: ({ leftBytes }) => sizeText(leftBytes) },
        { key: 'speed', title: 'Copies', isNumber: true, cell: ({ bytesPerSecond }) => speedText(bytesPerSecond) },
        { key: 'eta', title: 'Ready in', isNumber: true, cell: ({ etaMs }) => (etaMs === null ? '-' : `${Math.ceil(etaMs / 1_000)} s`) },
      ],
      rows: replicas,
      rowId: ({ serverName }) => serverName,
      none: 'No replica is known.',
    },
    view,
  );
}

function votersTable({ voters }: Mirror, view: View): Html {
  return tableOf(
    {
      id: 'voters',
      caption: 'Voters',
      columns: [
        { key: 'server', title: 'Server', cell: ({ serverName }) => serverName },
        { key: 'answers', title: 'State', cell: ({ answers }) => stateBadge(answers ? 'answers' : 'silent') },
        { key: 'trouble', title: 'Why not', cell: ({ trouble }) => trouble ?? '-' },
      ],
      rows: voters,
      rowId: ({ serverName }) => serverName,
      none: 'No voter is known.',
    },
    view,
  );
}
