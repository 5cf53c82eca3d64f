// Writes a screenshot of each page into docs/screens, over the sample picture, in headless Chromium. `npm run measure -- web-screens`. If pngquant is
// installed, it makes the files smaller.

import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { samplePicture, volumeIdAt } from '@rsio/rsweb/testing/sample-picture';
import { defineDrill } from '../support/drills/harness.ts';
import { text } from '../support/drills/options.ts';
import { CHROMIUM_NEED, startBrowser } from './browser.ts';
import { startSampleServer } from './sample-server.ts';

const FOLDER = fileURLToPath(new URL('../../docs/screens/', import.meta.url));
const SHOTS = [
  { name: 'overview', path: '/', height: 1500 },
  { name: 'overview-dark', path: '/', height: 1500, scheme: 'dark' },
  { name: 'overview-narrow', path: '/', width: 400, height: 1500 },
  { name: 'volume', path: `/volume/${volumeIdAt(8)}`, height: 1100 },
  { name: 'volume-waiting', path: `/volume/${volumeIdAt(33)}`, height: 700 },
  { name: 'client', path: '/client/web-07', height: 1000 },
  { name: 'server', path: '/server/atlas', height: 1500 },
  { name: 'pool', path: '/pool/rhea%3Afast', height: 1000 },
  { name: 'mirror', path: '/mirror/mirror-1', height: 800 },
  { name: 'events', path: '/events', height: 800 },
  { name: 'impact', path: '/impact?server=atlas', height: 1000 },
  { name: 'operations', path: '/operations?text=snapshot', height: 1000 },
  { name: 'operation', path: '/operations/server/volume-create?p.name=web', height: 1300 },
  { name: 'login', path: '/login', height: 520 },
  { name: 'confirm', path: '/confirm', height: 480 },
] as const;

export const drill = defineDrill({
  about: 'Writes a screenshot of each page of rsweb, over the sample picture, in headless Chromium.',
  needs: [CHROMIUM_NEED],
  unit: 'screenshots',
  endsAtOnce: true,
  options: { out: text('FOLDER', FOLDER, 'folder of the screenshots') },
  async play(scene, { out }) {
    mkdirSync(out, { recursive: true });
    const [browser, server] = [await startBrowser(), await startSampleServer(samplePicture())];
    scene.hosts.onClean(() => server.close());
    scene.hosts.onClean(() => browser.close());
    for (const shot of SHOTS) {
      scene.round(shot.name);
      const scheme = 'scheme' in shot ? shot.scheme : 'light';
      const page = await browser.newPage({
        viewport: { width: 'width' in shot ? shot.width : 1280, height: shot.height },
        colorScheme: scheme,
      });
      await page.goto(server.url + shot.path);
      if (shot.path !== '/login' && (await page.locator('[data-plot]').count()) > 0) await page.locator('.uplot').first().waitFor();
      const file = `${out}/${shot.name}.png`;
      await page.screenshot({ path: file });
      // pngquant reduces the number of colours, so that a file becomes a third as large. If pngquant is missing, the file stays unchanged.
      spawnSync('pngquant', ['--force', '--ext', '.png', '--speed', '1', '64', file]);
      scene.say(`${file}: ${Math.round(statSync(file).size / 1000)} kB`);
      await page.close();
    }
  },
});
