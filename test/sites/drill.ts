// `npm run drill -- sites`: replication between two servers, by real daemons. The other files of this folder have the rounds.

import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { defineDrill } from '../support/drills/harness.ts';
import { DEVICES, FIO, POSTGRESQL, program, ROOT_USER, XFS } from '../support/drills/needs.ts';
import { count, flag, part, seed, size } from '../support/drills/options.ts';
import type { Scene } from '../support/drills/scene.ts';
import { counted, median, seconds } from '../support/drills/table.ts';
import { FIGURES, figures } from './figures.ts';
import { PostgresRounds } from './postgres.ts';
import { RoleRounds } from './roles.ts';
import { Rounds } from './rounds.ts';

function spread(values: readonly number[]): string {
  return `median ${seconds(median(values))}, longest ${seconds(Math.max(0, ...values))}`;
}

async function playRounds(scene: Scene, limit: number, hasCopies: boolean): Promise<void> {
  const roles = await RoleRounds.begin(scene, new SeededRandom(scene.seed + 1));
  scene.withLogs(() => roles.sites.logs());
  scene.atEnd(() => [roles.report, `${roles.rounds} rounds of roles`]);
  const rounds = hasCopies ? await Rounds.begin(scene) : null;
  if (rounds !== null) {
    const { stage, tally } = rounds;
    scene.withLogs(() => stage.sites.logs());
    scene.atEnd(() => [
      counted(tally.faults),
      `age of the moment at a drill: ${spread(tally.agesMs)}; next moment after a fault: ${spread(tally.nextMs)}; ${tally.fio}`,
      `${tally.compared} contents compared`,
    ]);
  }
  while (scene.rounds < limit && !scene.isEnding) {
    scene.round(`round ${scene.rounds + 1}`);
    await rounds?.round();
    await roles.round();
  }
  scene.at('end');
  await rounds?.end();
}

async function playPostgres(scene: Scene, limit: number): Promise<void> {
  await scene.need(DEVICES);
  await scene.need(POSTGRESQL);
  const rounds = await PostgresRounds.begin(scene);
  scene.withLogs(() => rounds.stage.sites.logs());
  while (scene.rounds < limit && !scene.isEnding) {
    scene.round(`round ${scene.rounds + 1}`);
    await rounds.round();
  }
  scene.at('end');
  await rounds.end();
}

export const drill = defineDrill({
  about: `Replicates volumes from one server to another one. Each round has a fault (a kill of a process of either server, or cuts of the paths between
    them) and a drill at the target under load. Each clone must equal the snapshot of the source with the same moment, byte for byte. At the end,
    the followers are promoted without the source. Each round is followed by one of roles: two other servers exchange their roles, lose one
    another, or are set back to old images, with renames and kills meanwhile. The drill then gives the orders that the servers name, and compares
    what is kept.`,
  needs: [ROOT_USER, XFS, FIO],
  own: 'mounts',
  options: {
    roles: flag('only the rounds of roles'),
    postgres: flag(
      'PostgreSQL on a volume of the source; it starts on each clone, and must have every row that was acknowledged before the moment. Needs postgresql with pg_amcheck, too',
    ),
    figures: flag('measure bytes on the wire and on disk, eight volumes at one moment, and lines of 50 ms. Needs iproute2, too'),
    size: size('10g', 'with --figures: the volume of which 1 % changes; the temporary folder needs twice as much'),
    only: part(FIGURES, 'with --figures: only figures whose name has this text'),
    rounds: count(20, 'how many rounds'),
    seed: seed(),
  },
  async play(scene, { roles, postgres, figures: isMeasured, size: sizeBytes, only, rounds }) {
    if (isMeasured) {
      await scene.need(program('ip', 'iproute2'));
      await figures(scene, sizeBytes, only);
    } else if (postgres) await playPostgres(scene, rounds);
    else await playRounds(scene, rounds, !roles);
  },
});
