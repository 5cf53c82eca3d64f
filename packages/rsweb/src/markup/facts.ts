// Makes lists of facts about an object, and tiles with figures. Pure.
// The pages choose the facts and figures.

import type { Load } from '../model/picture.ts';
import { latencyText, perSecondText, speedText } from './figures.ts';
import { type Html, html, type Part } from './html.ts';

/** Returns a list of facts, without the facts whose value is null. */
export function factsPart(facts: readonly (readonly [name: string, value: Part])[]): Html {
  return html`<dl class="facts">${facts.map(([name, value]) => value !== null && html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

export interface Tile {
  readonly name: string;
  readonly value: Part;
  readonly detail?: Part;
  readonly tone?: 'bad' | 'warn';
}

export function tilesPart(tiles: readonly Tile[], id: string): Html {
  return html`<dl class="tiles" id="${id}">${tiles.map(
    ({ name, value, detail, tone }) =>
      html`<div class="tile${tone !== undefined && ` ${tone}`}"><dt>${name}</dt><dd><b>${value}</b>${detail !== undefined && html`<small>${detail}</small>`}</dd></div>`,
  )}</dl>`;
}

/** Returns tiles that show the current load of an object. */
export function loadTiles({
  readBytesPerSecond,
  writtenBytesPerSecond,
  readsPerSecond,
  writesPerSecond,
  readLatency,
  writeLatency,
}: Load): Html {
  return tilesPart(
    [
      { name: 'Read', value: speedText(readBytesPerSecond), detail: perSecondText(readsPerSecond) },
      { name: 'Written', value: speedText(writtenBytesPerSecond), detail: perSecondText(writesPerSecond) },
      { name: 'READ latency p50', value: latencyText(readLatency?.p50Us ?? null), detail: latencyDetail(readLatency) },
      { name: 'WRITE latency p50', value: latencyText(writeLatency?.p50Us ?? null), detail: latencyDetail(writeLatency) },
    ],
    'load',
  );
}

function latencyDetail(latency: Load['readLatency']): string {
  return latency === null ? 'no request' : `p99 ${latencyText(latency.p99Us)}, p99.9 ${latencyText(latency.p999Us)}`;
}
