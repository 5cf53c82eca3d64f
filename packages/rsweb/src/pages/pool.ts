// The page of a pool: its space, and the volumes in it. Pure.
// The tables are in parts/.

import { dayText } from '@rsio/api/views/capacity';
import { factsPart } from '../markup/facts.ts';
import { numberText, percentText, sizeText } from '../markup/figures.ts';
import { findingsPart } from '../parts/findings.ts';
import { framed } from '../markup/frame.ts';
import { type Html, html } from '../markup/html.ts';
import { linkTo } from '../parts/object-tables.ts';
import { plotsPart, SPACE_SERIES } from '../parts/plot.ts';
import { relatedEvents, relatedFindings } from '../parts/related.ts';
import { spaceBar } from '../parts/space.ts';
import { stateBadge } from '../markup/state.ts';
import type { View } from '../markup/view.ts';
import { volumesTable } from '../parts/volumes-table.ts';
import { hrefOf } from '../model/ids.ts';
import type { Picture } from '../model/picture.ts';

export function poolPage(picture: Picture, view: View, id: string): Html | null {
  const pool = picture.pools.find((one) => one.id === id);
  if (pool === undefined) return null;
  const href = hrefOf('pool', id);
  const body = html`${findingsPart(relatedFindings(picture, href), view.nowMs, null)}
${pool.reason !== null && html`<p class="${pool.state === 'elsewhere' ? 'reason' : 'reason bad'}">${pool.reason}</p>`}
${pool.isShort && html`<p class="reason bad">Less than the reserve is free. Writes that need new space wait.</p>`}
<section aria-labelledby="space-head"><h2 id="space-head">Space</h2>${factsPart([
    ['Used', spaceBar(pool)],
    ['Free', sizeText(pool.freeBytes)],
    ['Size of its file system', sizeText(pool.totalBytes)],
    ['Reserve', percentText(pool.reserve)],
    ['Promised to volumes', sizeText(pool.promisedBytes)],
    ['Limit of promises', pool.limitBytes === null ? 'none' : sizeText(pool.limitBytes)],
    ['Full at the pace of the last 7 days', dayText(pool.fullInWeekPaceMs, view.nowMs)],
    ['Full at the pace of the last 30 days', dayText(pool.fullInMonthPaceMs, view.nowMs)],
    ['Server', linkTo('server', pool.server)],
    ['Folder', pool.path === '' ? '-' : html`<code>${pool.path}</code>`],
    ['Removed volumes that can be restored', numberText(pool.removed)],
  ])}</section>
${plotsPart([{ of: `pool:${id}`, title: 'Use of the pool', unit: 'size', series: SPACE_SERIES }], view)}
<section aria-labelledby="volumes-head"><h2 id="volumes-head">Volumes</h2>${volumesTable(
    picture.volumes.filter((volume) => volume.pool === id),
    view,
  )}</section>
${relatedEvents(picture, view, href, `pool ${pool.name}`)}`;
  return framed({ title: `Pool ${pool.name}`, heading: html`Pool ${pool.name} ${stateBadge(pool.state)}`, body }, picture, view);
}
