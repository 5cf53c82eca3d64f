// Tests which volume an export name finds, and the message if the name finds no volume.
// The transfer of names is tested in nbd-handshake.test.ts.

import { describe, expect, it } from 'vitest';
import type { FrontendVolume } from '../../../volumes/frontend-volume.ts';
import { exportDescription, exportName, findExport } from './export-names.ts';
import { MemoryVolume } from '../testing/memory-volume.ts';

function volume(namespace: string, name: string, universe = 0): FrontendVolume {
  return new MemoryVolume({ namespace, name, universe, sizeBytes: 512 });
}

function problem(volumes: readonly FrontendVolume[], name: string): string {
  const found = findExport(volumes, name);
  return found.volume === null ? found.problem : `found ${exportName(found.volume)}`;
}

describe('export names', () => {
  const oracle = volume('osl', 'oracle');
  const other = volume('lab', 'oracle');
  const scratch = volume('lab', 'scratch', 2);

  it('are namespace/volume, with the universe where it is not 0', () => {
    expect([oracle, scratch].map(exportName)).toEqual(['osl/oracle', 'lab/scratch@2']);
    expect(exportDescription(scratch)).toBe('Volume scratch of namespace lab, universe 2');
  });

  it('find a volume by full name always and by short name where unique', () => {
    const volumes = [oracle, other, scratch];
    expect(findExport(volumes, 'osl/oracle').volume).toBe(oracle);
    expect(findExport(volumes, 'lab/oracle').volume).toBe(other);
    expect(findExport(volumes, 'osl/oracle@0').volume).toBe(oracle);
    expect(findExport(volumes, 'lab/scratch@2').volume).toBe(scratch);
    for (const name of ['scratch', 'lab/scratch'])
      expect(problem(volumes, name)).toBe(`No export "${name}": attached are osl/oracle, lab/oracle, lab/scratch@2`);
    expect(problem(volumes, 'oracle')).toBe('Export name "oracle" means more than one volume: say osl/oracle, lab/oracle');
  });

  it('mean universe 0 if they have none', () => {
    const second = volume('osl', 'oracle', 1);
    expect(findExport([second, oracle], 'osl/oracle').volume).toBe(oracle);
    expect(findExport([second, oracle], 'osl/oracle@1').volume).toBe(second);
    expect(findExport([second, oracle], 'oracle').volume).toBe(oracle);
  });

  it('find the only volume by the empty name', () => {
    expect(findExport([oracle], '').volume).toBe(oracle);
    expect(problem([oracle, other], '')).toBe('Export name "" means more than one volume: say osl/oracle, lab/oracle');
  });

  it('that are unknown get a text that lists the attached volumes, within bounds', () => {
    expect(problem([oracle, scratch], 'x')).toBe('No export "x": attached are osl/oracle, lab/scratch@2');
    expect(problem([], 'x')).toBe(
      'No export "x", nothing is exported: attach a volume with rsconfig -a; one with device = none in rscltcfg has no export',
    );
    const many = Array.from({ length: 100 }, (_, i) => volume('osl', `v${i}`));
    expect(problem(many, 'y'.repeat(5000)).length).toBeLessThan(600);
    expect(problem(many, 'x')).toMatch(/osl\/v15 and 84 more$/);
  });
});
