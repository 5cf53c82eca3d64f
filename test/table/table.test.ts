// Tries every operation on every kind of volume, with real daemons, and compares the outcomes with the table in docs/OPERATING.md. An
// operation works, or the refusal names the reason and a command that helps. The test then runs this command. Needs root for XFS and a loop
// device. After an intended change, run the test with UPDATE_TABLE=1, which writes the table, and review the diff.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { useHosts } from '../support/hosts/hosts.ts';
import { needTool } from '../support/programs/programs.ts';
import { KINDS } from './kinds.ts';
import { followRemedies, OPERATIONS } from './operations.ts';
import { Refused, TableScene, type TableVolume } from './table-scene.ts';
import { type Cell, tableText, withTable } from './table-text.ts';

const DOCUMENT = fileURLToPath(new URL('../../docs/OPERATING.md', import.meta.url));
/** Pattern for a refusal with a remedy: a command follows the reason. */
const REMEDY = /: .*\b(?:rsconfig|rsadm|volume) \w+|: .*--\w+/;

const hosts = useHosts();

it('every operation works on every kind of volume, or is refused with the reason and a command, as OPERATING.md says', async (context) => {
  needTool(context, 'qemu-img', 'qemu-utils');
  const scene = await TableScene.start(hosts, context);
  const volumes: { readonly kind: string; readonly volume: TableVolume }[] = [];
  for (const { title, make } of KINDS) volumes.push({ kind: title, volume: await make(scene) });
  const all = volumes.map(({ volume }) => volume);
  const cells: Cell[] = [];
  const broken: string[] = [];
  for (const { title, before, run, after } of OPERATIONS) {
    // What broke before may be the reason if the next preparation fails.
    if (before !== undefined) expect(broken).toEqual([]);
    await before?.(scene, all);
    for (const { kind, volume } of volumes) {
      const refusal = await run(scene, volume).then(
        () => null,
        (thrown: Error) => {
          if (!(thrown instanceof Refused) || !REMEDY.test(thrown.message)) broken.push(`${title} of ${kind}: ${thrown.message}`);
          return thrown.message;
        },
      );
      cells.push({ operation: title, kind, volume: volume.name, refusal });
    }
    await after?.(scene, all);
  }
  expect(broken).toEqual([]);
  await followRemedies(scene);
  const document = readFileSync(DOCUMENT, 'utf8');
  const made = withTable(document, tableText(KINDS, cells));
  if (process.env['UPDATE_TABLE'] === undefined) expect(document).toBe(made);
  else writeFileSync(DOCUMENT, made);
});
