// `npm run web-load [LOADS]`: measures, in Chromium on this machine, how long the first page takes with 200 volumes and 50 clients, and after what
// time an open page shows a new fault. Medians and largest values; nothing is judged.

import { samplePicture, withFault } from '@rsio/rsweb/testing/sample-picture';
import { startBrowser } from './browser.ts';
import { startSampleServer } from './sample-server.ts';

const LOADS = 30;
const FAULTS = 10;
const FAULT = { severity: 'error', where: 'client db-01', remedy: '', commands: [], href: null, sinceMs: null } as const;

interface Timing {
  readonly answerMs: number;
  readonly readyMs: number;
  readonly loadedMs: number;
  readonly bytes: number;
}

const loads = Number(process.argv[2] ?? LOADS);
const browser = await startBrowser();
const server = await startSampleServer();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const timings: Timing[] = [];
  // The first load also starts the renderer.
  for (let count = 0; count <= loads; count++) {
    await page.goto(server.url, { waitUntil: 'load' });
    const timing = await page.evaluate(`(() => {
      const { responseEnd, domContentLoadedEventEnd, loadEventStart, encodedBodySize } = performance.getEntriesByType('navigation')[0];
      return { answerMs: responseEnd, readyMs: domContentLoadedEventEnd, loadedMs: loadEventStart, bytes: encodedBodySize };
    })()`);
    if (count > 0) timings.push(timing as Timing);
  }
  report(
    'the page has arrived',
    timings.map(({ answerMs }) => answerMs),
  );
  report(
    'the page can be used',
    timings.map(({ readyMs }) => readyMs),
  );
  report(
    'all is loaded',
    timings.map(({ loadedMs }) => loadedMs),
  );
  console.log(`the page has ${Math.round((timings[0]?.bytes ?? 0) / 1000)} kB`);

  const delaysMs: number[] = [];
  for (let count = 0; count < FAULTS; count++) {
    const what = `Path ${count} is down`;
    const startMs = performance.now();
    server.show(withFault(samplePicture({ tick: count }), { ...FAULT, id: what, what }));
    await page.getByText(what, { exact: true }).waitFor();
    delaysMs.push(performance.now() - startMs);
  }
  report('an open page shows a fault', delaysMs);
} finally {
  await browser.close();
  await server.close();
}

function report(what: string, valuesMs: readonly number[]): void {
  const sorted = valuesMs.toSorted((a, b) => a - b);
  const text = (value: number | undefined): string => `${(value ?? 0).toFixed(0)} ms`;
  console.log(`${what.padEnd(28)} median ${text(sorted[sorted.length >> 1])}, largest ${text(sorted.at(-1))}, of ${sorted.length}`);
}
