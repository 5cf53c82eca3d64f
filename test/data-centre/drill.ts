// `npm run drill -- data-centre`: three servers in two namespaces and three clients on this machine. The program compares all output with the
// expected text, character by character. Then the program makes 50 changes, which a seed chooses, under fio with verification. With --stay,
// everything keeps running afterwards. The steps are in outputs.ts and turmoil.ts.

import { defineDrill } from '../support/drills/harness.ts';
import { FIO } from '../support/drills/needs.ts';
import { count, flag, seed } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { launcher } from '../support/programs/programs.ts';
import { DataCentre } from './data-centre.ts';
import { OUTPUT_STEPS } from './outputs.ts';
import { turmoilUnderLoad } from './under-load.ts';

async function runSteps(scene: Scene, centre: DataCentre, changes: number): Promise<void> {
  for (const { name, run } of OUTPUT_STEPS) {
    scene.round(name);
    await run(centre);
    scene.say(`ok    ${name}`);
  }
  if (changes === 0) return;
  scene.round('changes');
  scene.say(`The changes of seed ${scene.seed} under fio`);
  const tell = (line: string): void => scene.say(`      ${line}`);
  const { seconds, verifyReads, longestGapMs } = await turmoilUnderLoad(centre, scene.seed, changes, tell);
  scene.say(
    `ok    ${changes} changes in ${seconds.toFixed(0)} s: no I/O error, ${verifyReads} blocks verified, longest gap ${Math.round(longestGapMs)} ms`,
  );
}

function sayWhereThingsAre({ say }: Scene, centre: DataCentre): void {
  const rsconfig = launcher('rsconfig');
  say('\nAll of it is running, until Ctrl-C. Try:');
  for (const client of centre.clients) say(`  ${rsconfig} --root ${centre.host(client).root} -q        # ${client.name}`);
  for (const server of centre.servers)
    say(`  $EDITOR ${centre.host(server).rssrvPaths.configFile}; kill -HUP ${centre.host(server).pid('rssrv')}`);
}

export const drill = defineDrill({
  about: `Starts three servers in two namespaces and three clients, with two interfaces each. Compares every output, then makes changes under I/O. The
    changes need fio with its nbd engine: install fio and libnbd0.`,
  needs: [],
  unit: 'steps',
  endsAtOnce: true,
  options: {
    seed: seed(),
    changes: count(50, 'number of changes; 0: none, without fio', { min: 0 }),
    stay: flag('keep everything running at the end, until Ctrl-C'),
  },
  async play(scene, { changes, stay }) {
    if (changes > 0) await scene.need(FIO);
    const centre = await DataCentre.make(scene.hosts);
    await runSteps(scene, centre, changes);
    if (!stay) return;
    sayWhereThingsAre(scene, centre);
    await scene.untilSignal();
  },
});
