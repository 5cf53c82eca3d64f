// The suite that all engines of a farm pass, on a LUN of the kernel's target (LIO) that one machine reaches as two initiators. The tests are
// those of the checkout, which the machine sees below a layer in memory. Invariant: the farm of the drills does not use this LUN.

import type { LunScene } from './scene.ts';

const TEST = 'packages/rssrv/src/farm/engines/reservation-lun.test.ts';
/** Vitest writes caches into the checkout. */
const LAYERS = [
  'mkdir -p /checkout/of /checkout/layer && mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose checkout /checkout/of',
  'mount -t tmpfs layer /checkout/layer && mkdir /checkout/layer/up /checkout/layer/work /checkout/layer/all',
  'mount -t overlay -o lowerdir=/checkout/of,upperdir=/checkout/layer/up,workdir=/checkout/layer/work layer /checkout/layer/all',
];
/** Vitest gives its worker a minute to start, which is not enough on an emulated processor. */
const PATIENT = `sed -i 's/START_TIMEOUT = [69]e4/START_TIMEOUT = 9e5/' node_modules/vitest/dist/chunks/cli-api.*.js`;
const VITEST = `node node_modules/vitest/vitest.mjs run --project unit --reporter verbose --no-color ${TEST}`;
const RESULT_LINES = 60;

export async function engineSuite({ array, report }: LunScene): Promise<void> {
  await array.run(LAYERS.join(' && '));
  const { code, text } = await array.try(
    `export RSIO_TEST_LUN="$(bash /share/two-initiators.sh | tail -n 1)"; cd /checkout/layer/all && ${PATIENT} && ${VITEST}`,
  );
  const results = text.split('\n').filter((line) => / [✓×↓] |Error:|^ +Tests /.test(line));
  const isWell = code === 0 && text.includes('reservation engine') && !/↓.*needs a LUN/.test(text);
  report.check('the reservation engine passes the suite of all engines on a LUN of LIO', isWell, results.slice(-RESULT_LINES).join('\n'));
}
