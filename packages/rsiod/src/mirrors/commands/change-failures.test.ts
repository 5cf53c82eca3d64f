// Lets each step of each change of an attached mirror fail at each server, once before the server has executed the step and once after. The
// failed command must complete the change, remove its results, or name them. The members stay usable, and the repeated command succeeds.
// The steps include the steps of the decider. Rules: G35.

import { describe, expect, test } from 'vitest';
import { ChangeScene } from '../../testing/change-scene.ts';
import type { Failure } from '../../testing/mirror-servers.ts';

interface Change {
  readonly name: string;
  readonly prepare: (scene: ChangeScene) => Promise<void>;
  readonly run: (scene: ChangeScene) => Promise<unknown>;
  /** The server on which the change creates a volume or a record; null if there is none. */
  readonly joins: string | null;
  readonly after: { readonly members: string; readonly voters: string };
}

const nothing = (): Promise<void> => Promise.resolve();

const CHANGES: readonly Change[] = [
  {
    name: 'add',
    prepare: nothing,
    run: (scene) => scene.add('big-7'),
    joins: 'big-7',
    after: { members: 'big-9 big-8 big-7', voters: 'big-9 big-8 big-7' },
  },
  {
    name: 'replace of a dead server',
    prepare: (scene) => {
      scene.held?.down(scene.server('big-8'));
      return scene.until(() => scene.config.inSync.length === 1);
    },
    run: (scene) => scene.replace('big-8', 'big-7'),
    joins: 'big-7',
    after: { members: 'big-9 big-7', voters: 'big-9 big-7 pi-1' },
  },
  {
    name: 'detach',
    prepare: nothing,
    run: (scene) => scene.detach('big-8', true),
    joins: null,
    after: { members: 'big-9', voters: 'big-9 big-8 pi-1' },
  },
  {
    name: 'witness',
    prepare: nothing,
    run: (scene) => scene.witness('big-7'),
    joins: 'big-7',
    after: { members: 'big-9 big-8', voters: 'big-9 big-8 big-7' },
  },
];

async function prepared({ prepare }: Change): Promise<ChangeScene> {
  const scene = await ChangeScene.attached();
  await prepare(scene);
  scene.steps = [];
  return scene;
}

/** Returns the different steps of a change, without questions to voters, which change nothing. */
async function stepsOf(change: Change): Promise<string[]> {
  const scene = await prepared(change);
  await change.run(scene);
  expect(scene.shown).toMatchObject(change.after);
  return [...new Set(scene.steps)].filter((step) => !step.endsWith(' record'));
}

const TABLE = await Promise.all(CHANGES.map(async (change) => ({ change, steps: await stepsOf(change) })));

describe.each(TABLE.flatMap(({ change, steps }) => steps.map((step) => [change.name, step, change] as const)))(
  '%s: %s fails',
  (_, failing, change) => {
    test.each<[string, Failure, number]>([
      ['once', 'refused', 1],
      ['once, executed', 'lost', 1],
      ['always', 'refused', Number.POSITIVE_INFINITY],
      ['always, executed', 'lost', Number.POSITIVE_INFINITY],
    ])('%s', async (_often, failure, times) => {
      const scene = await prepared(change);
      let left = times;
      scene.fails = (step) => (step === failing && left-- > 0 ? failure : null);
      const outcome = await change.run(scene).then(
        (value) => JSON.stringify(value),
        (thrown: unknown) => thrown as Error,
      );
      if (outcome instanceof Error) {
        const { joins } = change;
        const has = joins === null ? [] : scene.server(joins).left;
        if (has.length > 0) expect(outcome.message).toMatch(/server big-7 (may|votes)/);
        else expect(outcome.message).toMatch(/nothing is left|was not removed|was not changed|were not changed/);
        // `volume restore` must not be able to restore an empty volume that the command had made.
        if (joins !== null && has.length === 0) expect([...scene.server(joins).removed]).toEqual([]);
      } else expect(scene.shown).toMatchObject(change.after);
      scene.fails = () => null;
      await scene.until(() => scene.config.nextVoters === null && scene.held?.view?.isPending === false);
      scene.check();
      if (scene.shown.members === change.after.members && scene.shown.voters === change.after.voters) return;
      // If the answer to the creation of the volume was lost, the volume may exist. The administrator removes the volume with the command
      // in the error message.
      const volume = scene.server('big-7').stock.get('db@0');
      if (volume?.mark === null) scene.server('big-7').stock.clear();
      if (outcome instanceof Error && outcome.message.includes('rsconfig mirror add osl:db@0 --server big-7 goes on'))
        await scene.add('big-7');
      else await change.run(scene);
      expect(scene.shown).toMatchObject(change.after);
      scene.check();
    });
  },
);
