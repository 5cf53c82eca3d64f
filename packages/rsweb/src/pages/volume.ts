// The page of a volume: its facts, load, holders and mirror. Pure.
// The forms for orders are in parts/orders.ts.

import { factsPart, loadTiles } from '../markup/facts.ts';
import { numberText, perSecondText, sinceText, sizeText, speedText, timeText } from '../markup/figures.ts';
import { findingsPart } from '../parts/findings.ts';
import { framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { volumeOrders } from '../parts/orders.ts';
import { linkTo, mirrorState } from '../parts/object-tables.ts';
import { relatedEvents, relatedFindings } from '../parts/related.ts';
import { loadPlots } from '../parts/plot.ts';
import { stateBadge } from '../markup/state.ts';
import type { View } from '../markup/view.ts';
import { stateText, volumeName } from '../parts/volumes-table.ts';
import { hrefOf } from '../model/ids.ts';
import type { Picture, Volume } from '../model/picture.ts';

export function volumePage(picture: Picture, view: View, id: string): Html | null {
  const volume = picture.volumes.find((one) => one.id === id);
  if (volume === undefined) return null;
  const name = volumeName(volume);
  const href = hrefOf('volume', id);
  const body = html`${findingsPart(relatedFindings(picture, href), view.nowMs, null)}
${volume.reason !== null && html`<p class="reason bad">${volume.reason}</p>`}
${waitsPart(volume, view)}
${loadTiles(volume.load)}
${loadPlots(`volume:${id}`, view)}
<section aria-labelledby="facts-head"><h2 id="facts-head">Settings and space</h2>${factsPart(factsOf(volume, picture, view))}</section>
${volumeOrders(volume, picture, view)}
${relatedEvents(picture, view, href, `volume ${name}`)}`;
  return framed({ title: `Volume ${name}`, heading: html`Volume ${name} ${stateBadge(stateText(volume))}`, body }, picture, view);
}

function factsOf(volume: Volume, { pools, mirrors }: Picture, { nowMs }: View): [string, Html | string | null][] {
  const { id, server, pool, sizeBytes, usedBytes, snapshots, lastSnapshotMs, schedule, iopsLimit, bandwidthLimitBytes } = volume;
  const mirror = mirrors.find((one) => one.id === volume.mirror);
  const limits = [iopsLimit !== null && perSecondText(iopsLimit), bandwidthLimitBytes !== null && speedText(bandwidthLimitBytes)].filter(
    (text) => text !== false,
  );
  const uses = [volume.readonly && 'read-only', volume.shared && 'shared'].filter((text) => text !== false);
  return [
    ['Server', linkTo('server', server)],
    ['Pool', pool === null ? '-' : linkTo('pool', pool, pools.find((one) => one.id === pool)?.name)],
    ['Size', sizeText(sizeBytes)],
    ['Used', sizeText(usedBytes)],
    [
      'Held by',
      volume.holders.length === 0
        ? '-'
        : html`${volume.holders.map(({ client, sinceMs }) => html`<span>${linkTo('client', client)} for ${sinceText(sinceMs, nowMs)} </span>`)}`,
    ],
    ['Use', uses.length === 0 ? 'one client at a time' : uses.join(', ')],
    ['Limit', limits.length === 0 ? 'none' : limits.join(', ')],
    ['Snapshots', lastSnapshotMs === null ? numberText(snapshots) : `${numberText(snapshots)}, the last one ${timeText(lastSnapshotMs)}`],
    ['Schedule', schedule ?? 'none'],
    [
      'Mirror',
      mirror === undefined
        ? 'none'
        : html`${linkTo('mirror', mirror.id, `${mirror.name}@${mirror.universe}`)} ${stateBadge(mirrorState(mirror))}`,
    ],
    ['Id', html`<code>${id}</code>`],
  ];
}

function waitsPart({ waits }: Volume, { nowMs }: View): Html | null {
  if (waits.length === 0) return null;
  return html`<ul class="reason bad">${waits.map(
    ({ client, waitsFor, requests, sinceMs }) =>
      html`<li>I/O of client ${linkTo('client', client)} ${/^[A-Z]/.test(waitsFor) ? 'is waiting:' : 'waits for'} ${waitsFor} (${numberText(requests)} requests, for ${sinceText(sinceMs, nowMs)})</li>`,
  )}</ul>`;
}
