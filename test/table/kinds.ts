// The kinds of volumes of the table. The test makes one volume of each kind. A new kind is added only here, unless it needs other daemons.
// Invariant: each volume is empty, attached at no client, and of one kind only.

import { SERVER_NAME } from '../support/hosts/configs.ts';
import { MATE, SIZE_MIB, type TableScene, type TableVolume } from './table-scene.ts';

const SIZE = `${SIZE_MIB}m`;

export interface Kind {
  /** Heading of the column of the kind. */
  readonly title: string;
  /** Description of the kind for the legend. */
  readonly what: string;
  readonly make: (scene: TableScene) => Promise<TableVolume>;
}

const volume = (name: string, isReadonly = false): TableVolume => ({ name, isReadonly, mark: 0 });

async function created(scene: TableScene, name: string, ...options: readonly string[]): Promise<TableVolume> {
  await scene.command(['volume', 'create', name, '--size', SIZE, ...options]);
  return volume(name);
}

export const KINDS: readonly Kind[] = [
  { title: 'plain', what: 'created in a pool, one file', make: (scene) => created(scene, 'plain', '--pool', 'fast') },
  { title: 'section', what: 'a file of a section `[volume]` of rssrvcfg', make: () => Promise.resolve(volume('sect')) },
  { title: 'device', what: 'a block device of a section', make: () => Promise.resolve(volume('disk')) },
  { title: 'memory', what: '`type = memory`', make: () => Promise.resolve(volume('ram')) },
  { title: 'several', what: 'over several pools', make: (scene) => created(scene, 'wide', '--concat', '--pools', 'fast,slow') },
  { title: 'shared', what: 'several clients write to it', make: (scene) => created(scene, 'common', '--pool', 'fast', '--shared') },
  {
    title: 'image',
    what: 'made by `volume image`',
    make: async (scene) => {
      await created(scene, 'base', '--pool', 'fast');
      await scene.command(['volume', 'image', 'base', '--universe', '1']);
      return volume('base@1');
    },
  },
  {
    title: 'clone',
    what: 'made by `volume clone`',
    make: async (scene) => {
      await scene.command(['volume', 'snapshot', 'base@first']);
      await scene.command(['volume', 'clone', 'base@first', 'twin']);
      return volume('twin');
    },
  },
  {
    title: 'mirror',
    what: 'on two servers, by `mirror create`',
    make: async (scene) => {
      await scene.command(['mirror', 'create', 'mirrored', '--size', SIZE, '--servers', `${SERVER_NAME},${MATE}`]);
      return volume('mirrored');
    },
  },
  {
    title: 'read-only',
    what: 'read-only on the server',
    make: async (scene) => {
      await created(scene, 'fixed', '--pool', 'fast', '--read-only');
      return volume('fixed', true);
    },
  },
];
