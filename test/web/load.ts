// `npm run measure -- web-load`: measures, in Chromium on this machine, how long the first page takes over loopback with 200 volumes and 50
// clients, and how soon an open page shows a new fault. The program prints medians and largest values, and
// judges no figure. The picture is the sample picture; the pages, headers and assets come from rsweb. Times are measured with the clock of
// the browser, from the beginning of the navigation.

import { samplePicture, withFault } from '@rsio/rsweb/testing/sample-picture';
import type { Browser, Page } from 'playwright-core';
import { defineDrill } from '../support/drills/harness.ts';
import { count } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { median } from '../support/drills/table.ts';
import { CHROMIUM_NEED, startBrowser } from './browser.ts';
import { type SampleServer, startSampleServer } from './sample-server.ts';

const FAULTS = 10;
const FAULT = { severity: 'error', where: 'client db-01', remedy: '', commands: [], href: null, sinceMs: null } as const;
const WINDOW = { viewport: { width: 1280, height: 900 } } as const;

interface Timing {
  readonly arrivedMs: number;
  readonly paintedMs: number;
  readonly readyMs: number;
  readonly loadedMs: number;
  readonly bytes: number;
  readonly elements: number;
}

const LOOK_MS = 5;
// The script waits, because the browser records the end of the load event and the first paint only after the event for which goto() waits.
const MEASURE = `(async () => {
  const isDone = () => performance.getEntriesByType('navigation')[0].loadEventEnd > 0 && performance.getEntriesByName('first-contentful-paint').length > 0;
  while (!isDone()) await new Promise((looked) => setTimeout(looked, ${LOOK_MS}));
  const { responseEnd, domContentLoadedEventEnd, loadEventEnd, encodedBodySize } = performance.getEntriesByType('navigation')[0];
  const painted = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0;
  const elements = document.querySelectorAll('*').length;
  return { arrivedMs: responseEnd, paintedMs: painted, readyMs: domContentLoadedEventEnd, loadedMs: loadEventEnd, bytes: encodedBodySize, elements };
})()`;

async function play(scene: Scene, { loads }: { readonly loads: number }): Promise<void> {
  const [browser, server] = [await startBrowser(), await startSampleServer()];
  scene.hosts.onClean(() => server.close());
  scene.hosts.onClean(() => browser.close());
  const describeLoads = (what: string, timings: readonly Timing[]): void => {
    scene.round(what);
    scene.say(`${what}, ${timings.length} loads`);
    for (const [name, key] of FIGURES)
      scene.say(
        figure(
          name,
          timings.map((timing) => timing[key]),
        ),
      );
  };
  const { url } = server;
  const page = await browser.newPage(WINDOW);
  // The first load of the page does not count, because it also starts the renderer of the browser.
  await timingOf(page, url);
  describeLoads('an empty tab: the browser starts a process for the page, and its cache is empty', await newVisits(browser, url, loads));
  describeLoads('the same with a page of one word', await newVisits(browser, `${url}/assets/icon.svg`, loads));
  describeLoads('an open tab, the cache of the browser is empty', await uncachedLoads(page, url, loads));
  const again: Timing[] = [];
  for (let load = 0; load < loads; load++) again.push(await timingOf(page, url));
  describeLoads('the same page again: the browser asks whether its files have changed', again);
  const shown = again.at(-1);
  scene.say(`the page has ${shown?.elements} elements and ${Math.round((shown?.bytes ?? 0) / 1000)} kB`);
  scene.round('faults');
  scene.say(figure('an open page shows a fault', await faultDelays(page, server)));
}

async function timingOf(page: Page, url: string): Promise<Timing> {
  await page.goto(url, { waitUntil: 'load' });
  return (await page.evaluate(MEASURE)) as Timing;
}

/** Visits the page several times, each time with a new browser context and therefore with an empty cache. */
async function newVisits(visited: Browser, url: string, loads: number): Promise<Timing[]> {
  const timings: Timing[] = [];
  for (let load = 0; load < loads; load++) {
    const context = await visited.newContext(WINDOW);
    timings.push(await timingOf(await context.newPage(), url));
    await context.close();
  }
  return timings;
}

async function uncachedLoads(page: Page, url: string, loads: number): Promise<Timing[]> {
  const timings: Timing[] = [];
  const session = await page.context().newCDPSession(page);
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  for (let load = 0; load < loads; load++) timings.push(await timingOf(page, url));
  await session.send('Network.setCacheDisabled', { cacheDisabled: false });
  return timings;
}

async function faultDelays(page: Page, shown: SampleServer): Promise<number[]> {
  const delaysMs: number[] = [];
  for (let count = 0; count < FAULTS; count++) {
    const what = `Path ${count} is down`;
    const startMs = performance.now();
    shown.show(withFault(samplePicture({ tick: count }), { ...FAULT, id: what, what }));
    await page.getByText(what, { exact: true }).waitFor();
    delaysMs.push(performance.now() - startMs);
  }
  return delaysMs;
}

const FIGURES = [
  ['  its HTML has arrived', 'arrivedMs'],
  ['  it is seen (first paint)', 'paintedMs'],
  ['  it can be used', 'readyMs'],
  ['  it is loaded (load event)', 'loadedMs'],
] as const;

function figure(what: string, valuesMs: readonly number[]): string {
  const text = (value: number): string => `${value.toFixed(0)} ms`;
  return `${what.padEnd(28)} median ${text(median(valuesMs))}, largest ${text(Math.max(...valuesMs))}, of ${valuesMs.length}`;
}

export const drill = defineDrill({
  about: `Measures, in Chromium on this machine, how long the first page of rsweb takes over loopback with 200 volumes and 50 clients, and how soon an open
    page shows a new fault. It judges no figure.`,
  needs: [CHROMIUM_NEED],
  unit: 'figures',
  endsAtOnce: true,
  options: { loads: count(30, 'loads of the page for each figure') },
  play,
});
