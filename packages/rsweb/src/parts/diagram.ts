// Draws the diagram of the first page as SVG: clients on the left, servers with their pools and volumes on the right, and lines for the
// traffic of their paths between them. Pure. Invariants: an object with a fault is always drawn. A line with a path that is down is red,
// dashed and marked. Every part has an accessible name. Positions do not depend on figures, so that nothing jumps while figures change.

import { plural } from '@rsio/base/lib/units';
import { clientsDrawn, layoutOf, type PlacedClient, type PlacedPool, type PlacedServer, type Trunk } from './diagram-layout.ts';
import type { Picture, Volume } from '../model/picture.ts';
import { hrefOf } from '../model/ids.ts';
import { percentText, speedOf, speedText } from '../markup/figures.ts';
import { type Html, html } from '../markup/html.ts';
import { toneOf } from '../markup/state.ts';
import { usedShare } from './space.ts';

const CELL = 11;
const CELL_PITCH = 14;
/** Distance from the middle of a row to the gap below it. */
const ASIDE = 12;
/**
 * The bar of a pool that is filled to FULL or more is drawn as a fault. The bar of a pool that is filled to NEARLY_FULL or more is drawn as
 * a warning.
 */
const FULL = 0.95;
const NEARLY_FULL = 0.8;

export function diagramPart(picture: Picture): Html {
  const layout = layoutOf(picture);
  const left = picture.clients.length - clientsDrawn(picture).length;
  return html`<section id="picture" aria-labelledby="picture-head"><h2 id="picture-head">Servers, paths, clients, volumes</h2>
<a class="skip inside" href="#totals-end">Skip the picture</a>
<div class="scroll" role="region" aria-label="Picture" tabindex="0">
<svg class="diagram" viewBox="0 0 ${layout.width} ${layout.height}" role="group" aria-label="Clients, the paths to their servers, and the volumes of each server">
<g aria-hidden="true">${layout.trunks.map(trunkLine)}</g>
${layout.clients.map(clientBox)}
${layout.servers.map(serverBox)}
</svg></div>
${left > 0 && html`<p class="hint">${plural(left, 'further client')} without a fault: <a href="#clients">all clients</a>.</p>`}
<p class="legend" aria-hidden="true"><span class="key"><i class="sample flow"></i>paths up, thicker with throughput</span>
<span class="key"><i class="sample cut"></i>a path is down</span><span class="key"><i class="sample cell"></i>volume</span>
<span class="key"><i class="sample cell busy"></i>busy volume</span><span class="key"><i class="sample cell warn"></i>paused or waiting</span><span class="key"><i class="sample cell bad"></i>not served</span></p>
<span id="totals-end" tabindex="-1"></span></section>`;
}

/** Returns a number from 0 to 4 that selects the thickness of a line. The scale is logarithmic. */
function weightOf(bytesPerSecond: number): number {
  return bytesPerSecond < 1_000 ? 0 : Math.min(4, Math.max(0, Math.log10(bytesPerSecond) - 4));
}

function trunkLine({ edge, x1, y1, x2, y2, down, paths, bytesPerSecond }: Trunk): Html {
  const middle = (edge + x2) / 2;
  // If the client is not in the last column, the line first goes down to the gap below the client's row and runs along this gap.
  const aside = x1 < edge ? `M${x1} ${y1}c6 0 6 ${ASIDE} 12 ${ASIDE}H${edge}` : `M${x1} ${y1}`;
  const fromY = x1 < edge ? y1 + ASIDE : y1;
  const way = `${aside}C${middle} ${fromY} ${middle} ${y2} ${x2} ${y2}`;
  const kind = down === 0 ? 'trunk' : down < paths ? 'trunk part' : 'trunk cut';
  const mark = down > 0 && html`<text class="mark" x="${edge + 6}" y="${fromY + 3.5}">\u2716</text>`;
  return html`<path class="${kind}" d="${way}" stroke-width="${(0.8 + 0.6 * weightOf(bytesPerSecond)).toFixed(1)}"/>${mark}`;
}

function clientBox({ client, x, y, width, height, down, paths }: PlacedClient): Html {
  const tone = down > 0 && client.state === 'connected' ? 'warn' : toneOf(client.state);
  const reach = paths === 0 ? 'no path' : down > 0 ? `${down} of ${plural(paths, 'path')} down` : `${plural(paths, 'path')} up`;
  const name = `Client ${client.name}: ${client.state}, ${reach}, ${speedText(speedOf(client.load))}`;
  return html`<a href="${hrefOf('client', client.id)}"><title>${name}</title>
<g class="box client ${tone}" aria-hidden="true"><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4"/>${signOf(tone, x + 10, y + height / 2)}
<text x="${x + 20}" y="${y + height / 2 + 4}">${shortened(client.name, 15)}</text>${
    client.state !== 'absent' &&
    html`<text class="figure" x="${x + width - 6}" y="${y + height / 2 + 4}">${speedText(speedOf(client.load))}</text>`
  }</g></a>\n`;
}

function serverBox({ server, x, y, width, height, pools }: PlacedServer): Html {
  const tone = toneOf(server.state);
  const name = `Server ${server.name}: ${server.state}, ${speedText(server.load.readBytesPerSecond)} read, ${speedText(server.load.writtenBytesPerSecond)} written`;
  return html`<g class="box server ${tone}"><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8"/>
<a href="${hrefOf('server', server.id)}"><title>${name}</title><g aria-hidden="true">${signOf(tone, x + 16, y + 18)}
<text class="name" x="${x + 28}" y="${y + 23}">${shortened(server.name, 24)}</text>
<text class="figure" x="${x + width - 12}" y="${y + 23}">${
    server.state === 'up'
      ? `\u2193 ${speedText(server.load.writtenBytesPerSecond)}  \u2191 ${speedText(server.load.readBytesPerSecond)}`
      : server.state
  }</text></g></a>
${pools.map(poolPart)}</g>\n`;
}

function poolPart({ pool, name, volumes, x, y, width, perRow, left }: PlacedPool): Html {
  const share = pool === null ? null : usedShare(pool);
  const kind =
    pool !== null && (pool.state === 'unavailable' || pool.isShort || (share ?? 0) >= FULL)
      ? 'bad'
      : (share ?? 0) >= NEARLY_FULL
        ? 'warn'
        : 'good';
  const bar = 96;
  const label =
    pool === null
      ? html`<text class="pool" x="${x}" y="${y + 10}">${name}</text>`
      : html`<a href="${hrefOf('pool', pool.id)}"><title>Pool ${name}: ${pool.state}, ${percentText(share)} used</title>
<g aria-hidden="true"><text class="pool" x="${x}" y="${y + 10}">${shortened(name, 20)}</text><rect class="bar" x="${x + width - bar - 40}" y="${y + 2}" width="${bar}" height="8" rx="4"/>
<rect class="fill ${kind}" x="${x + width - bar - 40}" y="${y + 2}" width="${(bar * (share ?? 0)).toFixed(1)}" height="8" rx="4"/>
<text class="figure ${kind}" x="${x + width}" y="${y + 10}">${kind === 'bad' ? '\u2716 ' : ''}${percentText(share)}</text></g></a>`;
  // Users of a screen reader or the keyboard have the table of volumes instead of these cells.
  const cells = volumes.map((volume, index) =>
    volumeCell(volume, x + (index % perRow) * CELL_PITCH, y + 18 + Math.floor(index / perRow) * CELL_PITCH),
  );
  const more =
    left > 0 && html`<text class="pool" x="${x}" y="${y + 30 + Math.ceil(volumes.length / perRow) * CELL_PITCH}">and ${left} more</text>`;
  return html`${label}<g aria-hidden="true">${cells}</g>${more}\n`;
}

function volumeCell(volume: Volume, x: number, y: number): Html {
  const isWaiting = volume.waits.length > 0 || volume.state === 'paused' || volume.state === 'stopped';
  const kind = volume.state === 'unavailable' ? 'bad' : isWaiting ? 'warn' : `busy-${Math.ceil(weightOf(speedOf(volume.load)))}`;
  const form =
    kind === 'bad'
      ? html`<path class="cross" d="M${x + 2} ${y + 2}l${CELL - 4} ${CELL - 4}m0 -${CELL - 4}l-${CELL - 4} ${CELL - 4}"/>`
      : kind === 'warn' && html`<path class="cross" d="M${x + 4} ${y + 3}v${CELL - 6}m3 -${CELL - 6}v${CELL - 6}"/>`;
  return html`<a class="cell ${kind}" href="${hrefOf('volume', volume.id)}" tabindex="-1"><title>${volume.name}: ${volume.state}, ${speedText(speedOf(volume.load))}</title><rect x="${x}" y="${y}" width="${CELL}" height="${CELL}" rx="2"/>${form}</a>`;
}

function signOf(tone: string, x: number, y: number): Html {
  if (tone === 'bad') return html`<path class="sign" d="M${x - 4} ${y - 4}l8 8m0 -8l-8 8"/>`;
  if (tone === 'warn') return html`<path class="sign fill" d="M${x} ${y - 5}l5 9h-10z"/>`;
  return html`<circle class="sign${tone === 'good' ? ' fill' : ''}" cx="${x}" cy="${y}" r="3.5"/>`;
}

function shortened(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}\u2026`;
}
