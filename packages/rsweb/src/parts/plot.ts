// Plots of histories. The server draws each plot as SVG; in a browser with scripts, the script replaces the SVG with a plot of uPlot. Pure.
// Invariants: both forms of a plot show the same rings; a gap in a series is a gap in its line; a plot has a name, and its last values are
// shown as text.

import type { HistoryName, Ring, SeriesName } from '../model/history.ts';
import { latencyText, numberText, sizeText, speedText, timeText } from '../markup/figures.ts';
import { type Html, html } from '../markup/html.ts';
import { PLOT_POINTS } from '../limits.ts';
import { sameWith } from '../markup/links.ts';
import type { View } from '../markup/view.ts';

export type PlotUnit = 'speed' | 'rate' | 'latency' | 'size';

export interface Plot {
  readonly of: HistoryName;
  readonly title: string;
  readonly unit: PlotUnit;
  readonly series: readonly { readonly name: SeriesName; readonly label: string }[];
}

const WIDTH = 560;
const HEIGHT = 150;
/** The height of a plot corresponds to the largest value times HEADROOM, so that space stays free above the line. */
const HEADROOM = 1.1;

const TEXTS: Readonly<Record<PlotUnit, (value: number | null) => string>> = {
  speed: speedText,
  rate: numberText,
  latency: latencyText,
  size: sizeText,
};

export const SPEED_SERIES: Plot['series'] = [
  { name: 'readBytesPerSecond', label: 'read' },
  { name: 'writtenBytesPerSecond', label: 'written' },
];
export const RATE_SERIES: Plot['series'] = [
  { name: 'readsPerSecond', label: 'READs' },
  { name: 'writesPerSecond', label: 'WRITEs' },
];
export const LATENCY_SERIES: Plot['series'] = [
  { name: 'p50Us', label: 'p50' },
  { name: 'p99Us', label: 'p99' },
  { name: 'p999Us', label: 'p99.9' },
];
export const SPACE_SERIES: Plot['series'] = [
  { name: 'usedBytes', label: 'used' },
  { name: 'totalBytes', label: 'size' },
];

export function loadPlots(of: HistoryName, view: View): Html {
  return plotsPart(
    [
      { of, title: 'Throughput', unit: 'speed', series: SPEED_SERIES },
      { of, title: 'Requests per second', unit: 'rate', series: RATE_SERIES },
      { of, title: 'Latency', unit: 'latency', series: LATENCY_SERIES },
    ],
    view,
  );
}

/** Shows plots side by side, with links that choose the time span. */
export function plotsPart(plots: readonly Plot[], view: View): Html {
  const rings = view.history.ringsOf(plots[0]?.of ?? 'all');
  const shown = Math.min(Math.max(0, rings.length - 1), Math.max(0, Math.floor(Number(view.query.get('span'))) || 0));
  // Soon after rsweb has started, several rings cover the same time span and therefore have the same name. Only one link is shown for these
  // rings.
  const names = rings.map(spanText);
  const links = names.flatMap((name, index) => {
    if (index === shown) return html`<span aria-current="true">${name}</span> `;
    if (name === names[shown] || names.indexOf(name) !== index) return [];
    return html`<a href="${sameWith(view, { span: index === 0 ? null : String(index) }, 'history')}">${name}</a> `;
  });
  return html`<section id="history" aria-labelledby="history-head"><h2 id="history-head">History</h2>
${links.length > 1 && html`<nav class="spans" aria-label="Time that the plots show">${links}</nav>`}
<div class="plots">${plots.map((plot) => plotFigure(plot, view.history.ringsOf(plot.of)[shown], shown))}</div></section>`;
}

function spanText({ stepMs, timesMs }: Ring): string {
  const minutes = Math.max(1, Math.round((stepMs * timesMs.length) / 60_000));
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

function plotFigure({ of, title, unit, series }: Plot, ring: Ring | undefined, place: number): Html {
  const text = TEXTS[unit];
  const values = series.map(({ name }) => ring?.series[name] ?? []);
  const legend = series.map(
    ({ label }, index) =>
      html`<span class="key line-${index}"><i aria-hidden="true"></i>${label} <b>${text(values[index]?.at(-1) ?? null)}</b></span> `,
  );
  const name = `${title}: ${series.map(({ label }, index) => `${label} ${text(values[index]?.at(-1) ?? null)}`).join(', ')}`;
  const names = series.map(({ name: key }) => key).join(' ');
  const labels = series.map(({ label }) => label).join(' ');
  return html`<figure class="plot"><figcaption><b>${title}</b> <span class="legend">${legend}</span></figcaption>
<div class="canvas" role="img" aria-label="${name}" data-plot="${of}" data-ring="${place}" data-unit="${unit}" data-series="${names}" data-labels="${labels}">${
    ring === undefined || ring.timesMs.length < 2 ? html`<p class="none">No I/O was seen yet</p>` : drawing(values, ring, text)
  }</div></figure>`;
}

function drawing(values: readonly (readonly (number | null)[])[], { timesMs }: Ring, text: (value: number | null) => string): Html {
  const top = HEADROOM * Math.max(1, ...values.flat().map((value) => value ?? 0));
  const lines = values.map((line, index) => html`<path class="line-${index}" d="${pathOf(line, top)}"/>`);
  const [from = 0, until = 0] = [timesMs[0], timesMs.at(-1)];
  const grid = [0.25, 0.5, 0.75].map(
    (share) => html`<line class="grid" x1="0" x2="${WIDTH}" y1="${HEIGHT * share}" y2="${HEIGHT * share}"/>`,
  );
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT + 18}" aria-hidden="true">${grid}<line class="axis" x1="0" x2="${WIDTH}" y1="${HEIGHT}" y2="${HEIGHT}"/>
${lines}<text x="2" y="11">${text(top / HEADROOM)}</text><text x="2" y="${HEIGHT + 14}">${clockText(from)}</text><text x="${WIDTH - 2}" y="${HEIGHT + 14}" text-anchor="end">${clockText(until)}</text></svg>`;
}

function clockText(wallMs: number): string {
  return /\d\d:\d\d:\d\d/.exec(timeText(wallMs))?.[0] ?? '';
}

/**
 * Returns the SVG path of a line. If the line has more than PLOT_POINTS points, each group of successive points is reduced to the largest
 * of them, so that no peak is lost.
 */
function pathOf(line: readonly (number | null)[], top: number): string {
  const group = Math.max(1, Math.ceil(line.length / PLOT_POINTS));
  const points = Array.from({ length: Math.ceil(line.length / group) }, (_, index) =>
    largest(line.slice(index * group, (index + 1) * group)),
  );
  const last = Math.max(1, points.length - 1);
  let text = '';
  let isDrawing = false;
  for (const [index, value] of points.entries()) {
    if (value !== null) text += `${isDrawing ? 'L' : 'M'}${((WIDTH * index) / last).toFixed(1)} ${(HEIGHT * (1 - value / top)).toFixed(1)}`;
    isDrawing = value !== null;
  }
  return text;
}

function largest(values: readonly (number | null)[]): number | null {
  return values.reduce((most, value) => (value === null || (most !== null && most >= value) ? most : value), null);
}
